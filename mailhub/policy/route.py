"""Where mail for other hosts goes next: the exchanges of its domain, or a smarthost.

Pure: the routes are the operator's, the MX records were looked up before, and
randomness is an argument.

Invariants:

1. The most specific route wins, whatever the order of the file; among equals
   the first in the file.
2. A host that is ourselves, and every host that ranks no better, is never
   tried (RFC 5321 §5.1): mail cannot go round in a circle through us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from enum import Enum
from itertools import groupby
from typing import Any, Final

from mailhub.mail.address import Path, literal_address
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.policy.retry import Wishes
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.resolver import Mx

SMTP_PORT: Final = 25
"""Where exchanges listen (RFC 5321 §4.5.4.2)."""
SUBMISSION_PORT: Final = 587
"""Where smarthosts listen that want STARTTLS (RFC 6409 §3.1)."""
SUBMISSIONS_PORT: Final = 465
"""Where smarthosts listen that speak TLS at once (RFC 8314 §3.3)."""

Shuffle = Callable[[list[Any]], object]
"""Puts a list into random order, in place: ``random.Random().shuffle``."""


class TlsDemand(Enum):
    """What we ask of the encryption to the next hop."""

    NONE = "none"
    """Do not use it, even if it is offered."""
    OPPORTUNISTIC = "opportunistic"
    """Use it if it works, with any certificate; else send in the clear (RFC 7435)."""
    REQUIRED = "required"
    """Nothing leaves in the clear; any certificate will do."""
    VERIFIED = "verified"
    """A certificate that a known authority issued for the host's name, or nothing is sent."""

    @property
    def mandatory(self) -> bool:
        """Whether nothing may leave in the clear."""
        return self in (TlsDemand.REQUIRED, TlsDemand.VERIFIED)


# ---- Hops ----------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Exchange:
    """The mail exchanges of a domain, or the host of an address literal.

    Attributes:
        domain: As `Path.domain` has it.
    """

    domain: str
    port: int = SMTP_PORT
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC

    @property
    def name(self) -> str:
        """How listings and journeys call it."""
        return self.domain


@value(frozen=True, slots=True)
class Smarthost:
    """A host that takes mail for many domains from us.

    Attributes:
        name: The route's name in the configuration.
        host: A host name, or an IP address without brackets. Its MX records
            are not asked for.
        implicit: TLS from the first octet, as on port 465 (RFC 8314 §3.3).
        username: For AUTH; ``""`` for none.
        password: Known already: whoever reads the configuration reads its file.
    """

    name: str
    host: str
    port: int = SUBMISSION_PORT
    tls: TlsDemand = TlsDemand.VERIFIED
    implicit: bool = False
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """All but the password, which must not get into a log."""
        return f"Smarthost({self.name!r}, {self.host!r}, {self.port}, {self.tls})"


Hop = Exchange | Smarthost


# ---- Routes --------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Route:
    """A rule of the operator: mail that matches goes to a hop.

    A pattern is a domain, ``*.domain`` for everything below it, or ``*``. Both
    lists must match; an empty one always does. So a route without patterns is
    for all mail.

    Attributes:
        hop: None for the domain's own exchanges: an exception from a wider route.
        recipients: Patterns for the forward-path's domain.
        senders: Patterns for the reverse-path's domain. The null reverse-path
            has none, and only ``*`` matches it.
        tls: For exchanges only; a smarthost brings its own.
        spare: It matches nothing: only the detours of providers lead there.
        returns: Return paths may be ours on this way; None leaves it to the kind of the hop:
            those who relay for a login commonly take no sender but its own.
        wishes: Where the schedule of mail that goes this way differs.
    """

    name: str
    hop: Smarthost | None = None
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC
    spare: bool = False
    returns: bool | None = None
    wishes: Wishes = field(default_factory=Wishes)


def route(
    reverse_path: Path,
    path: Path,
    routes: Iterable[Route],
    *,
    port: int = SMTP_PORT,
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC,
) -> Hop:
    """The next hop for one recipient.

    The recipient's domain decides first (exactly named, then the longest
    ``*.domain``, then ``*`` or no pattern), the sender's domain second, the
    order of the file last. Without a route that matches it is the domain's own
    exchanges, at `port` and with `tls`.
    """
    found = matching(reverse_path, path, routes)
    if found is None:
        return Exchange(path.domain, port, tls)
    return found.hop or Exchange(path.domain, port, found.tls)


DIRECT: Final = "direct"
"""The way past all routes: to the exchanges of the recipient's domain."""


def sent_by(
    way: str,
    path: Path,
    routes: Iterable[Route],
    *,
    port: int = SMTP_PORT,
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC,
) -> Hop:
    """The next hop of a recipient whose way an operator has said.

    That is `DIRECT`, the name of a route, or ``host:port``.

    Raises:
        Refusal: 451 4.3.5 for a route that there is no more.
    """
    if way == DIRECT:
        return Exchange(path.domain, port, tls)
    for each in routes:
        if each.name == way:
            return each.hop or Exchange(path.domain, port, each.tls)
    host, colon, number = way.rpartition(":")
    if not colon or not number.isdecimal():
        raise Refusal(451, "3.5", f"There is no route {way} any more")
    return Smarthost(way, host.strip("[]"), int(number), TlsDemand.OPPORTUNISTIC)


def routed(hop: Hop, found: Route | None) -> tuple[Verdict, Verdict]:
    """What was decided with a next hop: where to, and what is asked of TLS there.

    `found` is the route that `matching` gave for it.
    """
    section = "relay" if found is None else f"route {found.name}"
    if isinstance(hop, Smarthost):
        where = Verdict(f"route: to the host {hop.host}:{hop.port}", Rule(section, "host"))
    else:
        port = "" if hop.port == SMTP_PORT else f", port {hop.port}"
        rule = Rule("relay", "port") if found is None else Rule(section)
        where = Verdict(f"route: to the exchanges of {hop.domain}{port}", rule)
    return where, Verdict(f"TLS: {hop.tls.value}", Rule(section, "tls"))


def matching(reverse_path: Path, path: Path, routes: Iterable[Route]) -> Route | None:
    """The route that decides about one recipient, if there is one."""
    best: Route | None = None
    best_rank: tuple[int, int] = (-1, -1)
    for candidate in routes:
        if candidate.spare:
            continue
        rank = (
            _rank(candidate.recipients, path.domain),
            _rank(candidate.senders, reverse_path.domain),
        )
        if min(rank) >= 0 and rank > best_rank:
            best, best_rank = candidate, rank
    return best


_EXACT: Final = 1 << 16
"""Above the length of any domain."""


def _rank(patterns: Sequence[str], domain: str) -> int:
    """How closely the best of the patterns fits: -1 not at all, 0 like everything else."""
    if not patterns:
        return 0
    return max(fit(pattern, domain) for pattern in patterns)


def fit(pattern: str, domain: str) -> int:
    """How closely a pattern fits a domain: -1 not at all, 0 like everything else."""
    if pattern == "*":
        return 0
    if pattern.startswith("*."):
        return len(pattern) if domain.endswith(pattern[1:]) else -1
    return _EXACT if pattern == domain else -1


# ---- Exchanges -----------------------------------------------------------------------------


def candidates(
    domain: str,
    records: Iterable[Mx],
    shuffle: Shuffle,
    ourselves: Collection[str] = (),
) -> tuple[Mx, ...]:
    """The hosts to try for a domain, in order, given its MX records (RFC 5321 §5.1).

    Lower preferences first, equals in random order; without records the domain
    itself is the host. `ourselves` are the names we receive mail under.

    Raises:
        Refusal: 556 5.1.10 for a null MX (RFC 7505 §3), 554 5.4.6 where we are
            the best exchange although the domain is not ours.
    """
    found = list(records)
    if not found:
        found = [Mx(0, domain)]  # the implicit MX
    named = [mx for mx in found if mx.host]
    if not named:
        raise Refusal(556, "1.10", f"{domain} does not accept mail")
    return _without_us(domain, _ordered(named, shuffle), ourselves)


def _ordered(records: list[Mx], shuffle: Shuffle) -> list[Mx]:
    # One record for each host, the best: the same host twice would be tried twice.
    best: dict[str, Mx] = {}
    for mx in sorted(records):
        best.setdefault(mx.host, mx)
    ordered: list[Mx] = []
    for _, group in groupby(sorted(best.values()), key=lambda mx: mx.preference):
        equals = list(group)
        shuffle(equals)
        ordered += equals
    return ordered


def _without_us(domain: str, ordered: Sequence[Mx], ourselves: Collection[str]) -> tuple[Mx, ...]:
    ours = [mx.preference for mx in ordered if mx.host in ourselves]
    if not ours:
        return tuple(ordered)
    better = tuple(mx for mx in ordered if mx.preference < min(ours))
    if not better:
        raise Refusal(554, "4.6", f"Mail for {domain} loops back to us")
    return better


def literal_host(hop: Hop) -> str | None:
    """The IP address of a hop that names one; None where a name must be looked up."""
    return literal_address(hop.domain) if isinstance(hop, Exchange) else None
