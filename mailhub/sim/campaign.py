"""Campaign files: what is to be sent, to whom, and how fast it is handed in.

    mailhub simulate --campaign FILE

Each ``[mail NAME]`` is a stream of messages. Recipients are counted through all streams: the
one with number 17 is ``u17@`` a domain that is drawn by the weights of the world's providers,
and the same in every world with the same seed; or they come from a list of addresses.

Invariant: nothing here grows with the number of recipients but a list that was given.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import accumulate
from typing import Any, Final

from mailhub.config.ini import Mistake
from mailhub.config.key import AT_LEAST_ONE, Key, Section
from mailhub.config.load import ConfigError
from mailhub.config.values import (
    DURATION,
    FIELD,
    MAIL_ADDRESS,
    SIZE,
    TEXT,
    Kind,
    bounded,
    items,
    lines,
)
from mailhub.mail.address import Path, parse_address
from mailhub.mail.date import format_date
from mailhub.mail.reply import Refusal
from mailhub.sim.manners import Rate
from mailhub.sim.memory import share
from mailhub.sim.sections import NUMBER, RATE, filled, read_sections
from mailhub.sim.worldfile import Atlas

SAMPLE: Final = "campaign.ini"
"""The campaign that is shipped beside this module."""
_WIDTH: Final = 76
_NAMES: Final = 1000
"""Domains that a ``*`` stands for in a campaign."""


_SENDER: Final = parse_address("news@sender.example")
_ANY: Final = Rate()


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages of one kind.

    Attributes:
        sender: The reverse-path.
        count: Recipients.
        listed: Their addresses, if they were given.
        domains: Domains and their weights, in place of the world's.
        together: Recipients of one message.
        size: Octets of a message.
        fields: Further fields of its header.
        start: Seconds after the beginning of the world.
        rate: Messages handed in; 0 for as fast as the hub takes them.
        connections: Over which they are.
    """

    name: str
    sender: Path = _SENDER
    count: int = 1000
    listed: tuple[str, ...] = ()
    domains: tuple[tuple[str, float], ...] = ()
    together: int = 1
    size: int = 12 * 1024
    subject: str = "News"
    fields: tuple[str, ...] = ()
    start: float = 0.0
    rate: Rate = _ANY
    connections: int = 10


@dataclass(frozen=True, slots=True)
class Posting:
    """One message.

    Attributes:
        first: The number of its first recipient.
    """

    first: int
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Campaign:
    """All that is to be sent."""

    name: str
    streams: tuple[Stream, ...]

    @cached_property
    def bases(self) -> tuple[int, ...]:
        """The number of each stream's first recipient, and that of all recipients."""
        return tuple(accumulate((stream.count for stream in self.streams), initial=0))

    @property
    def total(self) -> int:
        """All recipients."""
        return self.bases[-1]


class Addresses:
    """Who the recipients of a campaign are, in a world."""

    def __init__(self, campaign: Campaign, atlas: Atlas, seed: str) -> None:
        self._campaign = campaign
        self._seed = seed
        self._draws = [_draw(stream, atlas) for stream in campaign.streams]
        self._numbers: dict[str, int] = {}
        for base, stream in zip(campaign.bases, campaign.streams, strict=False):
            for place, address in enumerate(stream.listed):
                self._numbers[f"{stream.sender} {address}"] = base + place

    def address(self, number: int) -> str:
        """The address of a recipient."""
        place = bisect_right(self._campaign.bases, number) - 1
        stream = self._campaign.streams[place]
        if stream.listed:
            return stream.listed[number - self._campaign.bases[place]]
        lot = share(self._seed, "recipient", str(number))
        return f"u{number}@{self._draws[place](lot)}"

    def number(self, sender: str, address: str) -> int | None:
        """The number of a recipient; None for somebody else's."""
        if self._numbers:
            found = self._numbers.get(f"{sender} {address}")
            if found is not None:
                return found
        local, _, _ = address.partition("@")
        if local[:1] != "u" or not local[1:].isdigit():
            return None
        number = int(local[1:])
        return number if number < self._campaign.total else None

    def postings(self, place: int) -> Iterator[Posting]:
        """The messages of a stream, in order."""
        stream, base = self._campaign.streams[place], self._campaign.bases[place]
        for first in range(base, base + stream.count, stream.together):
            numbers = range(first, min(first + stream.together, base + stream.count))
            yield Posting(first, tuple(self.address(number) for number in numbers))


def _draw(stream: Stream, atlas: Atlas) -> Callable[[float], str]:
    """A function that makes a domain of a number from 0 up to 1."""
    domains: Sequence[tuple[str, float]] = stream.domains or [
        (domain, manners.weight / len(manners.domains))
        for manners in atlas.providers
        for domain in manners.domains
    ]
    sums = list(accumulate(weight for _, weight in domains))
    names = [domain for domain, _ in domains]
    last = len(names) - 1

    def draw(lot: float) -> str:
        place = min(bisect_right(sums, lot * sums[-1]), last)
        name = names[place]
        if "*" not in name:
            return name
        variant = f"d{int(lot * 1e9) % _NAMES}"
        return f"{variant}.example" if name == "*" else name.replace("*", variant)

    return draw


def content(stream: Stream, posting: Posting, now: float) -> bytes:
    """A message, CR LF line ends, no line that begins with a dot."""
    head = (
        f"From: <{stream.sender}>\r\nTo: <{posting.recipients[0]}>\r\n"
        f"Subject: {stream.subject}\r\nDate: {format_date(now, 0)}\r\n"
        f"Message-ID: <m{posting.first}.campaign@{stream.sender.domain}>\r\n"
    ).encode()
    head += b"".join(f"{field}\r\n".encode() for field in stream.fields) + b"\r\n"
    return head + _body(max(0, stream.size - len(head)))


_BODIES: dict[int, bytes] = {}


def _body(size: int) -> bytes:
    """So many octets of text; kept, for they are the same in every message of a stream."""
    size -= size % 64  # heads differ in length by a few octets
    if size not in _BODIES:
        line = (b"All work and no play makes Jack a dull boy. " * 2)[:_WIDTH] + b"\r\n"
        _BODIES.clear() if len(_BODIES) > 64 else None
        _BODIES[size] = (line * (size // len(line) + 1))[: max(0, size - 2)] + b"\r\n"
    return _BODIES[size]


# ---- The file ------------------------------------------------------------------------------


def _parse_weights(text: str) -> tuple[tuple[str, float], ...]:
    found = []
    for item in items(text):
        domain, _, weight = item.rpartition(" ")
        found.append((parse_address(f"x@{domain.strip()}").domain, float(weight)))
        if found[-1][1] <= 0:
            raise ValueError
    return tuple(found)


def _weights(text: str) -> tuple[tuple[str, float], ...]:
    try:
        return _parse_weights(text)
    except Refusal:
        raise ValueError from None


WEIGHTS: Final[Kind[Any]] = Kind(
    "domains with their weights such as gmail.com 60, outlook.com 40",
    _weights,
    lambda value: ", ".join(f"{domain} {weight:g}" for domain, weight in value),
)

SECTIONS: Final = (
    Section(
        "mail NAME",
        "One stream of messages. Several of them, side by side.",
        (
            Key("from", MAIL_ADDRESS, "sender", "The sender: bounces come back there."),
            Key("recipients", bounded(NUMBER, 1), "count", "How many: 500, 20K, 1M."),
            Key("list", TEXT, "path", "A file with their addresses, one a line, in place of that."),
            Key("domains", WEIGHTS, "domains", "Where they are, in place of the world's weights."),
            Key("recipients per message", AT_LEAST_ONE, "together", "Each message is for so many."),
            Key("size", bounded(SIZE, 512), "size", "Octets of a message."),
            Key("subject", TEXT, "subject", "What it is called."),
            Key(
                "fields",
                lines(FIELD),
                "fields",
                "Further fields of its header, such as List-Unsubscribe: <https://x.example/u>, by"
                " which the hub sees that it is bulk mail.",
            ),
            Key("start", DURATION, "start", "Seconds after the beginning."),
            Key("rate", RATE, "rate", "Messages handed in; 0 for as fast as the hub takes them."),
            Key("connections", bounded(AT_LEAST_ONE, 1, 90), "connections", "So many at once."),
        ),
    ),
)


def load(name: str | None) -> Campaign:
    """The campaign in a file; the one that is shipped, for None.

    Raises:
        ConfigError: With every mistake that was found.
        OSError: The file cannot be read.
    """
    if name is None:
        text = files(__package__).joinpath(SAMPLE).read_text("utf-8")
        return parsed("sample", text)
    with open(name, encoding="utf-8", errors="replace") as file:
        return parsed(name, file.read())


def parsed(name: str, text: str) -> Campaign:
    """The campaign in a text.

    Raises:
        ConfigError: With every mistake that was found.
    """
    sections, mistakes = read_sections(text, SECTIONS)
    streams = []
    for given in sections:
        values = dict(given.values)
        path = values.pop("path", None)
        stream = filled(Stream(given.name), values)
        if path:
            try:
                stream = _with_list(stream, path)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                mistakes.append(given.mistake("path", f"{path}: {why}"))
        streams.append(stream)
    if not streams:
        mistakes.append(Mistake(0, "mail", "", "there is none: nothing would be sent"))
    if mistakes:
        raise ConfigError(name, mistakes)
    return Campaign(name, tuple(streams))


def _with_list(stream: Stream, path: str) -> Stream:
    """The stream with the addresses of a file: one a line, or the first column of a table."""
    found: dict[str, None] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            text = line.partition(",")[0].strip().strip('"')
            if not text or text[0] == "#" or (number == 1 and "@" not in text):
                continue
            try:
                found[str(parse_address(text))] = None
            except Refusal:
                raise ValueError(f"line {number} is no address: {text[:80]}") from None
    if not found:
        raise ValueError("no addresses in it")
    return replace(stream, listed=tuple(found), count=len(found))
