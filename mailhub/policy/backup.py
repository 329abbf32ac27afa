"""Domains that we take mail for while their own hosts are down (backup MX)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailhub.mail.address import Path
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
        wishes: Where the schedule of this mail differs.
    """

    name: str
    domains: tuple[str, ...]
    recipients: frozenset[str] | None = None
    wishes: Wishes = field(default_factory=Wishes)

    def has(self, path: Path) -> bool:
        """Whether there is such a recipient, as far as we know."""
        return self.recipients is None or str(path).casefold() in self.recipients


def backing(domain: str, backups: Iterable[Backup]) -> Backup | None:
    """Whose domain this is, if it is one that we back up."""
    return next((each for each in backups if any(fit(it, domain) > 0 for it in each.domains)), None)
