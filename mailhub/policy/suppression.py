"""Whom a sending domain does not write to any more, and why: the rules of its suppression list.

Mail to addresses that do not exist, and to people who call it spam, is what providers
judge a sender by. So an address that has failed for good, or whose owner has complained,
gets no more of the domain's mail: by default none of class bulk, for an address that
was mistyped in a letter is no reason to keep the next letter back.

Pure: whoever keeps the list looks entries up, whoever read the configuration has the terms.

Invariants:

1. Only what was said of the address itself counts: that there is no such mailbox or no
   such domain, for good. What was said of us, or of the message, never does.
2. Nobody's notices, and mail to a postmaster, are never held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from mailhub.mail.address import Path
from mailhub.mail.date import format_date
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.queueclass import BULK
from mailhub.policy.route import fit
from mailhub.policy.rule import Rule

SECTION: Final = "suppression"
PREFIX: Final = "sending "
EVERYBODY: Final = "*"
"""In place of a sending domain: entries for all of them. In place of a class likewise."""
DAY: Final = 86_400.0
"""Seconds."""
SHOWN: Final = 200
"""Characters of a remote reply that ours repeats."""


class Reason(Enum):
    """Why an address is on the list; the later ones are the stronger."""

    EXPIRED = "expired"
    """Mail to it was given up again and again."""
    HARD = "hard"
    """It does not exist."""
    COMPLAINT = "complaint"
    """Its owner calls our mail spam."""
    MANUAL = "manual"
    """Somebody has put it there."""


REASONS: Final = tuple(Reason)
WORDS: Final[Mapping[Reason, str]] = {
    Reason.EXPIRED: "given up repeatedly",
    Reason.HARD: "hard failure",
    Reason.COMPLAINT: "complaint",
    Reason.MANUAL: "put there by hand",
}

HARD: Final = frozenset({Cause.UNKNOWN_USER, Cause.NO_DOMAIN})
"""What a permanent refusal must be about to count."""
SOFT: Final = frozenset({*HARD, Cause.DNS, Cause.MAILBOX_FULL, Cause.UNREACHABLE})
"""Likewise what mail was given up for."""
COMPLAINTS: Final = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})
"""Types of feedback (RFC 5965 §7.3, and drafts of it) by which somebody wants no more. A virus
that was found, or a signature that failed, is the sender's trouble and no wish of anybody's."""
WITHDRAWN: Final = "not-spam"
"""The type by which a complaint is taken back (RFC 6430)."""


class Action(Enum):
    """What happens to mail for an address on the list."""

    BOUNCE = "bounce"
    REFUSE = "refuse"
    HOLD = "hold"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a sending domain's list is kept.

    Attributes:
        classes: Of the mail that it is about: that fills it, and that is held back.
        complaint_classes: Of the mail that those who have complained do not get; empty
            is the same.
        hard_failures: So many put an address on the list; ``hard_life`` is for how long.
        complaint_life: Seconds; 0 is for ever, here and in the others.
        expiries: So many do, if not 0, of mail that was given up for its age.
        window: Seconds within which these are counted.
        returns: Classes of the mail whose reverse-path becomes one of ours.
        return_domain: Where these are; ``""`` for the domain of the sender.
    """

    action: Action = Action.BOUNCE
    classes: tuple[str, ...] = (BULK,)
    complaint_classes: tuple[str, ...] = ()
    hard_failures: int = 1
    hard_life: float = 90 * DAY
    complaint_life: float = 0.0
    expiries: int = 0
    expired_life: float = 30 * DAY
    window: float = 30 * DAY
    returns: tuple[str, ...] = ()
    return_domain: str = ""

    def concerns(self, class_name: str, reason: Reason | None = None) -> bool:
        """Whether mail of a class is held back from those on the list, for this reason if given."""
        if self.action is Action.OFF:
            return False
        ways = [self.classes, self.complaint_classes or self.classes]
        if reason is not None:
            ways = [ways[reason is Reason.COMPLAINT]]
        return any(_is_in(class_name, names) for names in ways)

    def rewrites(self, class_name: str) -> bool:
        """Whether mail of a class gets a return path of ours."""
        return _is_in(class_name, self.returns)

    def least(self, reason: Reason) -> int:
        """How many strikes put an address on the list; 0 for any number."""
        return {Reason.HARD: self.hard_failures, Reason.EXPIRED: self.expiries}.get(reason, 1)

    def life(self, reason: Reason) -> float:
        """For how many seconds it stays there; 0 is for ever."""
        lives = {
            Reason.HARD: self.hard_life,
            Reason.COMPLAINT: self.complaint_life,
            Reason.EXPIRED: self.expired_life,
        }
        return lives.get(reason, 0.0)


def _is_in(class_name: str, names: tuple[str, ...]) -> bool:
    return class_name in names or EVERYBODY in names


@dataclass(frozen=True, slots=True)
class Sending:
    """Terms of some domains.

    Attributes:
        name: Of its section; ``""`` for all other domains.
        senders: Patterns for the domain of the reverse-path.
        given: Keys that its section gives.
    """

    name: str
    senders: tuple[str, ...] = ()
    terms: Terms = Terms()
    given: frozenset[str] = frozenset()

    def rule(self, key: str) -> Rule:
        """The line of the configuration that says something."""
        return Rule(f"{PREFIX}{self.name}" if key in self.given else SECTION, key)


@dataclass(frozen=True, slots=True)
class Suppression:
    """All that is configured.

    Attributes:
        return_life: Seconds for which our return paths are known, from a message's release.
        reports: Local parts, in every hosted domain, to which complaints are reported.
        sendings: Those with terms of their own.
    """

    terms: Terms = Terms()
    return_life: float = 30 * DAY
    reports: tuple[str, ...] = ("abuse", "fbl")
    sendings: tuple[Sending, ...] = ()

    def of(self, domain: str) -> Sending:
        """The terms of a sending domain: those of the section that names it most exactly."""
        best, found = -1, Sending("", (), self.terms)
        for each in self.sendings:
            rank = max((fit(pattern, domain) for pattern in each.senders), default=-1)
            if rank > best:
                best, found = rank, each
        return found

    @property
    def return_domains(self) -> frozenset[str]:
        """Domains that there are for return paths alone."""
        every = (self.terms, *(each.terms for each in self.sendings))
        return frozenset(terms.return_domain for terms in every if terms.return_domain)

    @property
    def return_days(self) -> int:
        """Days for which our return paths are known."""
        return max(1, -(-int(self.return_life) // int(DAY)))


# ---- Entries -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """An address on the list.

    Attributes:
        domain: Whose list: a sending domain, or `EVERYBODY`.
        address: As `Path.key` has it.
        at: When it was put there, or counted last.
        expires: When it goes; 0 for never.
        count: How often it has happened.
        reply: What was said; or a note of whoever put it there.
        queue_id: Of the message that it was about; ``""`` for none.
    """

    domain: str
    address: str
    reason: Reason
    at: float
    expires: float = 0.0
    count: int = 1
    reply: str = ""
    queue_id: str = ""

    @property
    def told(self) -> str:
        """In words: whose list it is, why and since when, and what was said."""
        whose = "this hub" if self.domain == EVERYBODY else self.domain
        said = f", {' '.join(self.reply.split())[:SHOWN]}" if self.reply else ""
        since = format_date(self.at, 0)
        return f"on the suppression list of {whose}, {WORDS[self.reason]} on {since}{said}"

    def holds(self, now: float) -> bool:
        """Whether it counts."""
        return not self.expires or self.expires > now


def merged(before: Entry, new: Entry) -> Entry:
    """What becomes of an entry when the address strikes again.

    The stronger reason stays, and the later end; what a person has put there stays his.
    """
    weaker = REASONS.index(new.reason) < REASONS.index(before.reason)
    endless = not (before.expires and new.expires)
    return Entry(
        new.domain,
        new.address,
        before.reason if weaker else new.reason,
        new.at,
        0.0 if endless else max(before.expires, new.expires),
        before.count + 1,
        before.reply if weaker else new.reply,
        before.queue_id if weaker else new.queue_id,
    )


def excepted(reverse_path: Path, path: Path) -> bool:
    """Whether mail is never held back, whatever is on the list (RFC 5321 §4.5.1)."""
    return not reverse_path.domain or path.local.casefold() == "postmaster"


def counts(reply: Reply, cause: Cause | None, *, expired: bool) -> Reason | None:
    """What a failure is to the list; None if it says nothing of the address."""
    if expired or not reply.permanent:
        return Reason.EXPIRED if cause in SOFT else None
    return Reason.HARD if cause in HARD else None


def refusal(entry: Entry, path: Path) -> Reply:
    """Why mail to an address on the list is not sent: words of ours."""
    return Reply(550, "7.1", (f"Not sent: <{path}> is {entry.told}",))


def asdict(entry: Entry) -> dict[str, Any]:
    """An entry for a program."""
    return {
        "domain": entry.domain,
        "address": entry.address,
        "reason": entry.reason.value,
        "at": entry.at,
        "expires": entry.expires,
        "count": entry.count,
        "reply": entry.reply,
        "queue_id": entry.queue_id,
    }
