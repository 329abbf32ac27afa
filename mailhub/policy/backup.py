"""Domains that we take mail for while their own hosts are down (backup MX); who exists there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.retry import Wishes
from mailhub.policy.route import fit


@dataclass(frozen=True, slots=True)
class Backup:
    """Domains that are backed up.

    Mail for them is taken from anybody, and handed on to exchanges that the
    domain prefers to us: which those are, the MX records say (`policy.route.candidates`).

    Attributes:
        domains: As `policy.route.Route.recipients`.
        recipients: Those that exist, as `Path.key` has them; None where that is not known.
        verify: The domain's own hosts are asked who exists.
        wishes: Where the schedule of this mail differs.
    """

    name: str
    domains: tuple[str, ...]
    recipients: frozenset[str] | None = None
    verify: bool = False
    wishes: Wishes = field(default_factory=Wishes)

    def has(self, path: Path) -> bool:
        """Whether there is such a recipient, as far as we know."""
        return self.recipients is None or str(path).casefold() in self.recipients


def backing(domain: str, backups: Iterable[Backup]) -> Backup | None:
    """Whose domain this is, if it is one that we back up."""
    return next((each for each in backups if any(fit(it, domain) > 0 for it in each.domains)), None)


REFRESH: Final = {True: 7 * 86_400.0, False: 3 * 3600.0}
"""Seconds after which one who exists, or does not, is asked about again."""
EXPIRE: Final = {True: 31 * 86_400.0, False: 3 * 86_400.0}
"""Seconds for which that is believed while nobody answers."""
ABSENT: Final = frozenset({"", "0.0", "1.0", "1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
"""Details of a 5yz reply that are about the address (RFC 3463 §3.2, §3.3)."""


@value(frozen=True, slots=True)
class Known:
    """What a domain's own hosts have said of a recipient.

    Attributes:
        at: When, in seconds since the epoch.
        reply: The words with which one who does not exist is refused.
    """

    exists: bool
    at: float
    reply: str = ""

    def fresh(self, now: float) -> bool:
        """Whether it need not be asked again."""
        return now < self.at + REFRESH[self.exists]

    def holds(self, now: float) -> bool:
        """Whether it is still to be believed."""
        return now < self.at + EXPIRE[self.exists]


def absent(reply: Reply) -> bool:
    """Whether a reply to RCPT says that there is no such mailbox.

    Hosts that do not like us say nothing about their mailboxes.
    """
    return reply.permanent and reply.detail in ABSENT
