"""Where mail goes, and why: the operator's word, backed-up domains, routes, the domain's exchanges.

Pure: what the configuration says, ready to be asked for each recipient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.value import value
from mailhub.policy.backup import Backup, backing
from mailhub.policy.route import (
    SMTP_PORT,
    Exchange,
    Hop,
    Route,
    TlsDemand,
    matching,
    routed,
    sent_by,
)
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict

BACKUP_PREFIX = "backup "
"""Before the name of a backup, where schedules are named."""
KNOWN: Final = 10_000
"""Pairs of domains whose way is remembered."""


@value(frozen=True, slots=True)
class _Way:
    """What is decided of mail from one domain to another.

    Attributes:
        route: The route that decides, if one does.
        schedule: As `Ways.schedule`.
    """

    hop: Hop
    route: Route | None
    verdicts: tuple[Verdict, ...]
    schedule: str


@dataclass(slots=True)
class Ways:
    """All ways that the configuration knows. None of it is changed.

    Only domains decide, so what was found for two of them is remembered.

    `way`, where a method has it, is what an operator has said of one recipient
    (`queue.item.Pending.route`); ``""`` for nothing.
    """

    routes: tuple[Route, ...] = ()
    backups: tuple[Backup, ...] = ()
    port: int = SMTP_PORT
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC
    _known: dict[tuple[str, str], _Way] = field(default_factory=dict, init=False, repr=False)

    def hop(self, reverse_path: Path, path: Path, way: str = "") -> Hop:
        """The next hop.

        Raises:
            Refusal: 451 4.3.5 for a route that there is no more.
        """
        if way:
            return sent_by(way, path, self.routes, port=self.port, tls=self.tls)
        return self._way(reverse_path, path).hop

    def verdicts(self, reverse_path: Path, path: Path, way: str = "") -> tuple[Verdict, ...]:
        """Why mail goes where `hop` says, and what is asked of TLS there. Raises like `hop`."""
        if way:
            hop = self.hop(reverse_path, path, way)
            return (Verdict(f"route: to {hop.name}, as the operator said"),)
        return self._way(reverse_path, path).verdicts

    def found(self, reverse_path: Path, path: Path) -> Route | None:
        """The route that decides, if one does."""
        return self._way(reverse_path, path).route

    def schedule(self, reverse_path: Path, path: Path, way: str = "") -> str:
        """The name under which `policy.queueclass.Schedules` knows the way; ``""`` for none."""
        found = self._way(reverse_path, path)
        backed = found.schedule.startswith(BACKUP_PREFIX)
        return found.schedule if backed or not way else way

    def may_return(self, hop: Hop, reverse_path: Path, path: Path, detour: str = "") -> bool:
        """Whether return paths may be ours on the way to a hop.

        `detour` names the route that its provider's mail may take instead.
        """
        named = {route.name: route.returns for route in self.routes}
        if not isinstance(hop, Exchange):
            return bool(named.get(hop.name))
        found = self.found(reverse_path, path)
        if found is not None and found.returns is False:
            return False
        return not detour or bool(named.get(detour))

    def _way(self, reverse_path: Path, path: Path) -> _Way:
        key = reverse_path.domain, path.domain
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            known = self._known[key] = self._decided(reverse_path, path)
        return known

    def _decided(self, reverse_path: Path, path: Path) -> _Way:
        backup = self._backup(reverse_path, path)
        if backup is not None:
            hop: Hop = Exchange(path.domain, self.port, self.tls)
            rule = Rule(f"backup {backup.name}", "domains")
            where = Verdict(f"route: to better exchanges of {path.domain} than us", rule)
            verdicts = where, routed(hop, None)[1]
            return _Way(hop, None, verdicts, f"{BACKUP_PREFIX}{backup.name}")
        found = matching(reverse_path, path, self.routes)
        if found is None:
            hop = Exchange(path.domain, self.port, self.tls)
            return _Way(hop, None, routed(hop, None), "")
        hop = found.hop or Exchange(path.domain, self.port, found.tls)
        return _Way(hop, found, routed(hop, found), found.name)

    def _backup(self, reverse_path: Path, path: Path) -> Backup | None:
        """Whether mail is for a domain that we back up, and no route names that domain."""
        backup = backing(path.domain, self.backups)
        if backup is None:
            return None
        found = matching(reverse_path, path, self.routes)
        return None if found is not None and found.recipients else backup
