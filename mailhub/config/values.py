"""The kinds of value that a key may have: each read from text, and printed back.

Invariants:

1. ``kind.parse(kind.show(value)) == value`` for every value of a kind.
2. A `ValueError` of `Kind.parse` carries no text: what was expected is the
   kind's own phrase, so that the same mistake always reads the same.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from mailhub.mail.address import Path as Address
from mailhub.mail.address import is_ip_address, parse_address, parse_domain, to_unicode
from mailhub.mail.reply import Refusal

T = TypeVar("T")
N = TypeVar("N", int, float)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value.

    Attributes:
        expected: The words behind "expected" in a mistake: ``a size such as 50M``.
        parse: Text to value; raises ValueError.
        show: Value to the text that a person would write.
    """

    expected: str
    parse: Callable[[str], T]
    show: Callable[[T], str]


# ---- Numbers with units --------------------------------------------------------------------

_DURATION_UNITS: Final[Mapping[str, float]] = {
    "w": 604800.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_SIZE_UNITS: Final[Mapping[str, int]] = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10}

# duration: digits and a unit, once or several times; or 0
_DURATION_PART: Final = re.compile(r"([0-9]{1,12})(ms|[wdhms])")
_LONGEST: Final = 100 * 366 * 86400.0
"""Seconds of a hundred years: what is to be longer than a person thinks of is a mistake, and
would lead to dates that no calendar has."""
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:ms|[wdhms]))+|0")
# size: digits, and perhaps one of K, M, G, T
_SIZE: Final = re.compile(r"([0-9]{1,18})([KMGTkmgt]?)")
UNLIMITED: Final = (1 << 63) - 1
"""Octets that nothing has more of: the largest size that can be said (RFC 9051 §9 number64)."""
_COUNT: Final = re.compile(r"[0-9]{1,18}")


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``1h30m``, ``5d``; refused is a bare number, except 0, and a century."""
    if not _DURATION.fullmatch(text):
        raise ValueError
    seconds = sum(int(n) * _DURATION_UNITS[unit] for n, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST:
        raise ValueError
    return seconds


def show_duration(seconds: float) -> str:
    """A duration in whole units, none above the day: ``5d``, ``1h30m``; ``0`` for none."""
    rest, words = round(seconds * 1000), []
    for unit, length in _DURATION_UNITS.items():
        count, rest = divmod(rest, round(length * 1000)) if unit != "w" else (0, rest)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0"


def parse_size(text: str) -> int:
    """Octets of ``50M``; a bare number counts octets, K is 1024 of them."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError
    return int(found[1]) * _SIZE_UNITS.get(found[2].upper(), 1)


def show_size(octets: int) -> str:
    """A size in the largest unit that leaves no remainder."""
    for unit, length in _SIZE_UNITS.items():
        if octets and octets % length == 0:
            return f"{octets // length}{unit}"
    return str(octets)


def _show_limit(octets: int) -> str:
    return "0" if octets == UNLIMITED else show_size(octets)


def _parse_count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError
    return int(text)


def _parse_kib(text: str) -> int:
    kib, rest = divmod(parse_size(text), 1024)
    if rest:
        raise ValueError
    return kib


DURATION: Final = Kind("a duration such as 5m", parse_duration, show_duration)
SIZE: Final = Kind("a size such as 50M", parse_size, show_size)
SIZE_OR_NONE: Final = Kind(
    "a size such as 50M, or 0 for any", lambda text: parse_size(text) or UNLIMITED, _show_limit
)
"""A limit that may be switched off."""
KIB: Final = Kind("a size such as 19M", _parse_kib, lambda kib: show_size(kib * 1024))
"""A size that its owner counts in KiB."""
COUNT: Final = Kind("a number", _parse_count, str)


def _parse_factor(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise ValueError
    return float(text)


FACTOR: Final = Kind("a factor such as 1.5", _parse_factor, lambda value: f"{value:g}")

_TRUTH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("yes", "true", "on"), True),
    **dict.fromkeys(("no", "false", "off"), False),
}


def _parse_boolean(text: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        raise ValueError from None


BOOLEAN: Final = Kind("yes or no", _parse_boolean, lambda value: "yes" if value else "no")


# ---- Words ---------------------------------------------------------------------------------


def _parse_path(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise ValueError
    return text


def _parse_level(text: str) -> str:
    if not text.isprintable() or set(text) & set('/*%"\\') or text.upper() == "INBOX":
        raise ValueError
    return text


LEVEL: Final[Kind[str]] = Kind("a name such as Other Users, without / * %", _parse_level, str)
"""One level of a mailbox's name."""
TEXT: Final[Kind[str]] = Kind("text", str, str)
PATH: Final = Kind("an absolute path such as /var/lib/mailhub", _parse_path, str)


def _parse_mailbox(text: str) -> str:
    levels = text.split("/")
    if not all(levels) or levels[0].upper() == "INBOX" or not text.isprintable():
        raise ValueError
    return text


MAILBOX: Final = Kind("a mailbox's name such as Queue", _parse_mailbox, str)


_FIELD: Final = re.compile(r"[!-9;-~]+(?:\s*:.*)?")


def _parse_field(text: str) -> str:
    if not _FIELD.fullmatch(text):
        raise ValueError
    return text


FIELD: Final = Kind("a field's name, or Name: value, value", _parse_field, str)


def parse_host(text: str) -> str:
    """A full host name, in A-labels; raises ValueError."""
    try:
        domain = parse_domain(text)
    except Refusal:
        raise ValueError from None
    if domain.startswith("[") or "." not in domain or is_ip_address(domain):
        raise ValueError
    return domain


HOST: Final = Kind("a full host name such as mail.example.com", parse_host, to_unicode)
DOMAIN: Final = Kind("a domain such as example.com", parse_host, to_unicode)


def _parse_pattern(text: str) -> str:
    if text == "*":
        return text
    if text.startswith("*."):
        return "*." + parse_host(f"x.{text[2:]}").removeprefix("x.")  # *.de is allowed
    return parse_host(text)


PATTERN: Final = Kind("a domain, *.domain or *", _parse_pattern, to_unicode)
"""Which domains a route is for (`policy.route.Route`)."""


def _parse_mail_address(text: str) -> Address:
    try:
        path = parse_address(text)
    except Refusal:
        raise ValueError from None
    if not path.domain:
        raise ValueError
    return path


def _parse_name(text: str) -> str:
    return str(_parse_mail_address(text)).casefold() if "@" in text else _parse_pattern(text)


NAME: Final = Kind("an address, a domain, *.domain or *", _parse_name, to_unicode)
"""Whom something is for (`policy.queueclass.named`)."""

MAIL_ADDRESS: Final = Kind(
    "an address such as postmaster@example.com", _parse_mail_address, lambda path: path.shown
)
NETWORK: Final[Kind[Network]] = Kind(
    "an address or network such as 192.0.2.0/24", ipaddress.ip_network, str
)


IP: Final[Kind[str]] = Kind(
    "an IP address such as 192.0.2.1", lambda text: str(ipaddress.ip_address(text)), str
)


def bounded(kind: Kind[N], low: N, high: N | None = None) -> Kind[N]:
    """Numbers from `low` up, to `high` if there is one."""
    span = f"from {kind.show(low)} up" if high is None else f"{kind.show(low)} to {kind.show(high)}"

    def parse(text: str) -> N:
        value = kind.parse(text)
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    return Kind(f"{kind.expected}, {span}", parse, kind.show)


def word(*words: str) -> Kind[str]:
    """One of a few words that mean themselves."""
    return choice({one: one for one in words})


def choice(words: Mapping[str, T]) -> Kind[T]:
    """One of a few words."""
    *most, last = words
    names = {value: word for word, value in words.items()}

    def parse(text: str) -> T:
        try:
            return words[text.lower()]
        except KeyError:
            raise ValueError from None

    return Kind(f"{', '.join(most)} or {last}", parse, names.__getitem__)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """A value, or nothing at all."""

    def parse(text: str) -> T | None:
        return kind.parse(text) if text else None

    def show(value: T | None) -> str:
        return "" if value is None else kind.show(value)

    return Kind(f"{kind.expected}, or nothing", parse, show)


def optional_text(kind: Kind[str]) -> Kind[str]:
    """Text of a kind, or ``""``."""
    return Kind(
        f"{kind.expected}, or nothing",
        lambda text: kind.parse(text) if text else "",
        lambda value: kind.show(value) if value else "",
    )


def many(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Values separated by commas or line ends; none for an empty text."""

    def parse(text: str) -> tuple[T, ...]:
        return tuple(kind.parse(item) for item in items(text))

    def show(values: Iterable[T]) -> str:
        return ", ".join(kind.show(value) for value in values)

    return Kind(f"a list, each item {kind.expected}", parse, show)


def lines(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Values on lines of their own, commas and all; one at least."""

    def parse(text: str) -> tuple[T, ...]:
        values = tuple(kind.parse(line.strip()) for line in text.split("\n") if line.strip())
        if not values:
            raise ValueError
        return values

    def show(values: Iterable[T]) -> str:
        return "\n    ".join(kind.show(value) for value in values)

    return Kind(f"lines, each {kind.expected}", parse, show)


def some(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """As `many`, but at least one."""
    several = many(kind)

    def parse(text: str) -> tuple[T, ...]:
        values = several.parse(text)
        if not values:
            raise ValueError
        return values

    return Kind(f"{several.expected}, at least one", parse, several.show)


def many_of(kind: Kind[T]) -> Kind[frozenset[T]]:
    """Values whose order means nothing."""
    several = many(kind)

    def parse(text: str) -> frozenset[T]:
        return frozenset(several.parse(text))

    def show(values: frozenset[T]) -> str:
        return ", ".join(sorted(kind.show(value) for value in values))

    return Kind(several.expected, parse, show)


def items(text: str) -> list[str]:
    """The items of a list."""
    return [item for piece in re.split(r"[,\n]", text) if (item := piece.strip())]


# ---- Files of a certificate ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with its chain, and its key; one file may hold both."""

    chain: str
    key: str


def _parse_certificate(text: str) -> CertificateFiles:
    words = shlex.split(text)
    if len(words) not in (1, 2):
        raise ValueError
    paths = [_parse_path(word) for word in words]
    return CertificateFiles(paths[0], paths[-1])


def _show_certificate(files: CertificateFiles) -> str:
    paths = [files.chain] if files.chain == files.key else [files.chain, files.key]
    return " ".join(shlex.quote(path) for path in paths)


CERTIFICATE: Final = Kind(
    "the file of a chain and that of its key, such as /etc/ssl/hub.pem /etc/ssl/hub.key",
    _parse_certificate,
    _show_certificate,
)

AnyKind = Kind[Any]
