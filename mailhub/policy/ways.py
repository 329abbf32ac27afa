"""Where mail goes, and why: the operator's word, backed-up domains, routes, the domain's exchanges.

Pure: what the configuration says, ready to be asked for each recipient.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailhub.mail.address import Path
from mailhub.policy.backup import Backup, backing
from mailhub.policy.route import (
    SMTP_PORT,
    Exchange,
    Hop,
    Route,
    TlsDemand,
    matching,
    route,
    routed,
    sent_by,
)
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict

BACKUP_PREFIX = "backup "
"""Before the name of a backup, where schedules are named."""


@dataclass(frozen=True, slots=True)
class Ways:
    """All ways that the configuration knows.

    `way`, where a method has it, is what an operator has said of one recipient
    (`queue.item.Pending.route`); ``""`` for nothing.
    """

    routes: tuple[Route, ...] = ()
    backups: tuple[Backup, ...] = ()
    port: int = SMTP_PORT
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC

    def hop(self, reverse_path: Path, path: Path, way: str = "") -> Hop:
        """The next hop.

        Raises:
            Refusal: 451 4.3.5 for a route that there is no more.
        """
        if way:
            return sent_by(way, path, self.routes, port=self.port, tls=self.tls)
        if self.backup(reverse_path, path) is not None:
            return Exchange(path.domain, self.port, self.tls)
        return route(reverse_path, path, self.routes, port=self.port, tls=self.tls)

    def verdicts(self, reverse_path: Path, path: Path, way: str = "") -> tuple[Verdict, ...]:
        """Why mail goes where `hop` says, and what is asked of TLS there. Raises like `hop`."""
        hop = self.hop(reverse_path, path, way)
        if way:
            return (Verdict(f"route: to {hop.name}, as the operator said"),)
        backup = self.backup(reverse_path, path)
        if backup is not None:
            rule = Rule(f"backup {backup.name}", "domains")
            where = Verdict(f"route: to better exchanges of {path.domain} than us", rule)
            return where, routed(hop, None)[1]
        return routed(hop, matching(reverse_path, path, self.routes))

    def backup(self, reverse_path: Path, path: Path) -> Backup | None:
        """Whether mail is for a domain that we back up, and no route names that domain."""
        backup = backing(path.domain, self.backups)
        if backup is None:
            return None
        found = matching(reverse_path, path, self.routes)
        return None if found is not None and found.recipients else backup

    def found(self, reverse_path: Path, path: Path) -> Route | None:
        """The route that decides, if one does."""
        if self.backup(reverse_path, path) is not None:
            return None
        return matching(reverse_path, path, self.routes)

    def schedule(self, reverse_path: Path, path: Path, way: str = "") -> str:
        """The name under which `policy.queueclass.Schedules` knows the way; ``""`` for none."""
        backup = self.backup(reverse_path, path)
        if backup is not None:
            return f"{BACKUP_PREFIX}{backup.name}"
        found = matching(reverse_path, path, self.routes)
        return way or ("" if found is None else found.name)
