"""What clients were refused, told one by one as long as that helps, and then in numbers.

Somebody who guesses recipients is refused a thousand times a minute, and each time for the
same reason. So refusals that are alike, from one network for one reason, are told one
by one up to `EACH` in a `WINDOW`, and as one afterwards. Strangers have `NAMED` rows in
all; those who have logged in are few, and never go under in that.

Invariants:

1. Every refusal is in exactly one row, as itself or as one of its `count`.
2. Rows in one window are bounded, whatever is refused to whom: by `MOST`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Final

from mailhub.mail.value import value

EACH: Final = 20
"""Refusals of one network for one reason that are told one by one."""
NAMED: Final = 300
"""Refusals of strangers that are."""
CROWDS: Final = 200
"""Networks and reasons that are counted apart; those beyond are counted by their reasons."""
MOST: Final = 2000
"""Rows of a window."""
WINDOW: Final = 600.0
"""Seconds after which everybody may be told of one by one again."""
V6_NETWORK: Final = 64
"""Bits of an IPv6 address that are one client's."""

Crowd = tuple[str, str, str, str, str]
"""Network, account, stage, codes and rule: what refusals that are alike have in common."""


@value(frozen=True, slots=True)
class Refused:
    """Something that was refused, or several things that are alike.

    Attributes:
        at: When, in seconds since the epoch; the first of several.
        until: Likewise the last.
        stage: What was asked: ``MAIL RCPT DATA AUTH``.
        address: The client's; ``""`` for many clients.
        tls: As in `ports.outgoing.Attempt`.
        account: Who had logged in.
        sender: The reverse-path; None where it is not known, or many.
        recipient: The forward-path; ``""`` for the whole message, or many.
        reply: With its codes.
        rule: The line of the configuration that decides, and where it stands.
        alike: Senders, recipients and texts differ: those here are the last one's.
    """

    at: float
    until: float
    count: int
    stage: str
    address: str
    helo: str
    tls: str
    account: str
    sender: str | None
    recipient: str
    reply: str
    rule: str
    alike: bool = False


class Tally:
    """The refusals of one hub that are not written yet."""

    def __init__(self) -> None:
        self._ready: list[Refused] = []
        self._began = 0.0
        self._forget()

    def _forget(self) -> None:
        self._rows = 0  # of this window
        self._named = 0
        self._each: Counter[Crowd] = Counter()
        self._known: dict[Refused, Refused | None] = {}  # told already, and since then again
        self._crowds: dict[Crowd, Refused] = {}

    @property
    def counting(self) -> bool:
        """Whether something is told at the end of the window alone."""
        return bool(self._crowds) or any(self._known.values())

    @property
    def ends(self) -> float:
        """When the window ends."""
        return self._began + WINDOW

    def add(self, refused: Refused) -> None:
        """This was refused."""
        if not self._began <= refused.at < self.ends:
            self._end()
            self._began = refused.at
        key = replace(refused, at=0.0, until=0.0)
        if key in self._known:
            self._known[key] = _together(self._known[key], refused)
            return
        crowd = _crowd(refused)
        if self._each[crowd] < EACH and self._may(refused):
            self._each[crowd] += 1
            self._named += not refused.account
            self._known[key] = None
            self._tell(refused)
            return
        if crowd not in self._crowds and len(self._crowds) >= CROWDS:
            crowd = ("", "", *crowd[2:])
            refused = replace(refused, address="", account="")
        self._crowds[crowd] = replace(_together(self._crowds.get(crowd), refused), alike=True)

    def take(self, now: float) -> list[Refused]:
        """What is to be written now."""
        if not self._began <= now < self.ends:
            self._end()
            self._began = now
        found, self._ready = self._ready, []
        return found

    def rest(self) -> list[Refused]:
        """All that there is."""
        self._end()
        found, self._ready = self._ready, []
        return found

    def _may(self, refused: Refused) -> bool:
        room = self._named < NAMED or bool(refused.account)
        return room and self._rows < MOST - 2 * CROWDS

    def _tell(self, refused: Refused) -> None:
        self._rows += 1
        self._ready.append(refused)

    def _end(self) -> None:
        again = [it for it in self._known.values() if it is not None]
        for each in (*again, *self._crowds.values()):
            self._tell(each)
        self._forget()


def _together(before: Refused | None, refused: Refused) -> Refused:
    if before is None:
        return refused
    return replace(refused, at=before.at, count=before.count + refused.count)


def _crowd(refused: Refused) -> Crowd:
    codes = " ".join(refused.reply.split(" ", 2)[:2])
    return _network(refused.address), refused.account, refused.stage, codes, refused.rule


def _network(text: str) -> str:
    """Whom an address stands for: itself, or its IPv6 /64."""
    if ":" not in text:
        return text
    try:
        return str(ip_network((ip_address(text), V6_NETWORK), strict=False))
    except ValueError:
        return text
