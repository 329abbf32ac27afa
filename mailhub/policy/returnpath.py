"""Return paths of our own: which message, and which of its recipients, comes back to an address.

Mail that is relayed may have its reverse-path replaced by one that we can read when
a bounce comes to it: ``bounce+`` and behind it the day, the queue id, a code, and
the recipient's number. (It has a subaddress's form because those who greylist leave
subaddresses of senders out of account: to them all of these are one sender.)

    bounce+g0 0k3m9x7c4e2d q8w2h5t7n3y4 0 @example.org
           day  queue id       code     number

Invariants:

1. The same recipient of the same message has the same return path at each attempt, or
   greylisting would never end: nothing in it is of the moment of an attempt.
2. A local part has 64 octets at most (RFC 5321 §4.5.3.1.1), of lower case letters,
   digits and ``+`` alone; in capitals it is read as well, for some fold the case.
3. Whatever is changed in one, the domain included, it is not ours any more.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from mailhub.mail.address import Path
from mailhub.ports.outgoing import QueueId

PREFIX: Final = "bounce+"
DAY: Final = 86_400.0
"""Seconds."""
ROTATION: Final = 90
"""Days after which a new key signs."""
SECRET_OCTETS: Final = 32

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""As in queue ids: those that are not mistaken for each other."""
_DAYS: Final = 1 << 10
"""Days after which their numbers begin again: two digits."""
_CODE: Final = 12
"""Digits of the code: one guess in 2**60 is right."""
# local = "bounce+" 2digit 12digit 12digit 1*6digit
_DIGIT: Final = f"[{_DIGITS}]"
_PATTERN: Final = rf"bounce\+({_DIGIT}{{2}})({_DIGIT}{{12}})({_DIGIT}{{12}})({_DIGIT}{{1,6}})"
_SHAPE: Final = re.compile(_PATTERN)
_ANYWHERE: Final = re.compile(
    rf"(?<![\w.+=-]){_PATTERN}@([a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?)", re.IGNORECASE
)


class Ticket(NamedTuple):
    """What a return path names.

    Attributes:
        day: Since the epoch, of the message's release: from there on it counts.
        number: Of the recipient, in the envelope.
    """

    day: int
    queue_id: QueueId
    number: int


class Key(NamedTuple):
    """What return paths are signed with, from a day on."""

    since: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that are known, the oldest first."""

    all: tuple[Key, ...]

    def path(self, ticket: Ticket, domain: str) -> Path:
        """The return path in a domain."""
        number, digits = ticket.number, ""
        while number or not digits:
            number, digit = divmod(number, 32)
            digits = _DIGITS[digit] + digits
        day = _digits(ticket.day % _DAYS, 2)
        code = _code(self._of(ticket.day), ticket, domain)
        return Path(f"{PREFIX}{day}{ticket.queue_id}{code}{digits}", domain)

    def read(self, path: Path, today: int, life: int) -> Ticket | None:
        """What a path names, if we made it, `life` days ago at most; else None."""
        found = _SHAPE.fullmatch(path.local.lower())
        if found is None:
            return None
        age = (today - _number(found[1])) % _DAYS
        if age == _DAYS - 1:
            age = -1  # a clock that was set back by a day makes nobody's bounce a forgery
        ticket = Ticket(today - age, QueueId(found[2]), _number(found[4]))
        ours = self.path(ticket, path.domain).local
        return ticket if hmac.compare_digest(ours, found[0]) and age <= life else None

    def _of(self, day: int) -> Key:
        """The key that signs what is released on a day."""
        return next((key for key in reversed(self.all) if key.since <= day), self.all[0])


def shaped(path: Path) -> bool:
    """Whether a path looks like a return path of somebody's mailhub."""
    return path.local[: len(PREFIX)].lower() == PREFIX and bool(
        _SHAPE.fullmatch(path.local.lower())
    )


def named(text: str) -> list[Path]:
    """All that looks so in a text, each once."""
    found = (match[0].lower().rpartition("@") for match in _ANYWHERE.finditer(text))
    return list(dict.fromkeys(Path(local, domain) for local, _, domain in found))


def day_of(moment: float) -> int:
    """The day of a moment, since the epoch."""
    return int(moment // DAY)


def renewed(keys: Iterable[Key], secret: bytes, today: int, life: int) -> tuple[Key, ...]:
    """The keys as they should be today; `secret` is for a new one, if one is due.

    A new key signs from tomorrow on: what was signed today stays as it is. Keys go when
    nothing that they signed is alive, `life` days after the next one took over.
    """
    found = sorted(keys) or [Key(today, secret)]
    if found[-1].since + ROTATION <= today:
        found.append(Key(today + 1, secret))
    return tuple(
        key
        for key, following in zip(found, [*found[1:], None], strict=True)
        if following is None or following.since + life >= today
    )


def _code(key: Key, ticket: Ticket, domain: str) -> str:
    named = f"{domain}\0{ticket.day}\0{ticket.queue_id}\0{ticket.number}"
    digest = hmac.digest(key.secret, named.encode(), sha256)
    return _digits(int.from_bytes(digest[:8]) >> 4, _CODE)


def _digits(number: int, count: int) -> str:
    return "".join(_DIGITS[number >> shift & 31] for shift in range(count * 5 - 5, -1, -5))


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 32 + _DIGITS.index(digit)
    return number
