"""Where mail goes: the operator's word, backups, routes, exchanges, in this order."""

from __future__ import annotations

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.reply import Refusal
from mailhub.policy.backup import Backup
from mailhub.policy.route import Exchange, Hop, Route, Smarthost, TlsDemand
from mailhub.policy.rule import Rule
from mailhub.policy.ways import KNOWN, Ways

HOST = Smarthost("all", "smart.example")
EVERYTHING = Route("all", hop=HOST)
NAMED = Route("named", hop=HOST, recipients=("far.example",))
BACKUP = Backup("friend", ("friend.example",))
FRIEND, FAR = Path("x", "friend.example"), Path("x", "far.example")


def told(ways: Ways, path: Path, way: str = "") -> list[tuple[str, Rule | None]]:
    return [(it.what, it.rule) for it in ways.verdicts(NULL, path, way)]


def test_exchanges() -> None:
    """Without a route it is the domain's own exchanges, on the terms of all mail."""
    ways = Ways(port=2525, tls=TlsDemand.REQUIRED)
    assert ways.hop(NULL, FAR) == Exchange("far.example", 2525, TlsDemand.REQUIRED)
    assert told(ways, FAR)[0][1] == Rule("relay", "port")
    assert ways.schedule(NULL, FAR) == ""


def test_a_route() -> None:
    """A route that matches says where, and names the schedule."""
    ways = Ways((EVERYTHING,))
    assert ways.hop(NULL, FAR) == HOST
    assert ways.found(NULL, FAR) == EVERYTHING
    assert told(ways, FAR)[0] == ("route: to the host smart.example:587", Rule("route all", "host"))
    assert ways.schedule(NULL, FAR) == "all"


def test_a_backup() -> None:
    """Mail for a domain that is backed up goes to its exchanges, past the route of all mail."""
    ways = Ways((EVERYTHING,), (BACKUP,))
    assert ways.hop(NULL, FRIEND) == Exchange("friend.example")
    assert ways.found(NULL, FRIEND) is None
    where, tls = told(ways, FRIEND)
    assert where[1] == Rule("backup friend", "domains")
    assert tls == ("TLS: opportunistic", Rule("relay", "tls"))
    assert ways.schedule(NULL, FRIEND) == "backup friend"


def test_a_route_that_names_the_domain() -> None:
    """It is meant for that domain, backed up or not."""
    ways = Ways((NAMED,), (Backup("far", ("far.example",)),))
    assert ways.hop(NULL, FAR) == HOST
    assert ways.schedule(NULL, FAR) == "named"


def test_the_operator() -> None:
    """Whatever the operator has said comes before all of it."""
    ways = Ways((NAMED,), (BACKUP,))
    assert ways.hop(NULL, FAR, "direct") == Exchange("far.example")
    assert told(ways, FAR, "host.example:26") == [
        ("route: to host.example:26, as the operator said", None)
    ]
    assert ways.schedule(NULL, FAR, "direct") == "direct"
    with pytest.raises(Refusal, match=r"451 4\.3\.5"):
        ways.hop(NULL, FAR, "gone")


def test_what_is_remembered() -> None:
    """What was found for two domains holds for no others, and is forgotten in time."""
    ours = Route("ours", hop=HOST, senders=("ours.example",))
    ways = Ways((ours,))
    for _ in range(2):
        assert ways.hop(Path("x", "ours.example"), FAR) == HOST
        assert ways.hop(NULL, FAR) == Exchange("far.example")
        assert ways.hop(NULL, FRIEND) == Exchange("friend.example")
    for number in range(KNOWN + 1):
        ways.hop(NULL, Path("x", f"{number}.example"))
    assert len(ways._known) <= KNOWN
    assert ways.hop(Path("x", "ours.example"), FAR) == HOST


class TestReturnPaths:
    """Whether return paths may be ours."""

    HOP = Smarthost("relay", "smtp.example")
    EXCHANGE = Exchange("far.example")

    def may(self, hop: Hop, *routes: Route, detour: str = "") -> bool:
        return Ways(routes).may_return(
            hop, Path("a", "b.example"), Path("x", "far.example"), detour
        )

    def test_to_exchanges(self) -> None:
        """Yes, unless a route says no."""
        assert self.may(self.EXCHANGE)
        assert not self.may(self.EXCHANGE, Route("own", returns=False))

    def test_to_smarthosts(self) -> None:
        """No, unless its route says yes."""
        assert not self.may(self.HOP, Route("relay", self.HOP))
        assert self.may(self.HOP, Route("relay", self.HOP, returns=True))

    def test_detours(self) -> None:
        """Not where mail may take a detour that would not have it."""
        route = Route("relay", self.HOP, spare=True)
        assert not self.may(self.EXCHANGE, route, detour="relay")
        route = Route("relay", self.HOP, spare=True, returns=True)
        assert self.may(self.EXCHANGE, route, detour="relay")
