"""Real DNS and real exchanges: whom the hub calls, in which order, and what it tells if nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.query
import pytest

from tests.interop.peers import Exchange, NameServer, Twistd, free_ports, home, until

pytestmark = pytest.mark.interop

DELAY = "delays = 1h, 2h"

LONG = "with-a-rather-long-name"
MANY = "\n".join(f"many MX 10 host-{number:03}.{LONG}" for number in range(90))

ZONE = f"""
$TTL 60
two     A 127.0.0.2
three   A 127.0.0.3
four    A 127.0.0.4
six     AAAA ::1
deaf    A 127.0.0.9
us      A 127.0.0.1
plain   MX 10 two
        MX 20 three
fall    MX 10 deaf
        MX 20 three
gone    MX 10 no-such-host
        MX 20 three
equal   MX 10 two
        MX 10 three
        MX 10 four
only    A 127.0.0.2
null    MX 0 .
lost    MX 10 no-such-host
bare    MX 10 text
text    TXT "no address"
loop    MX 10 mx.hub.example.
loop2   MX 10 us
backup  MX 10 deaf
        MX 20 mx.hub.example.
        MX 30 three
alias   CNAME alias2
alias2  CNAME plain
out     CNAME plain.other.example.
outside MX 10 two.other.example.
mxalias MX 10 twoalias
twoalias CNAME two
circle  CNAME circle2
circle2 CNAME circle
v6      MX 10 six
mixed   MX 10 both
both    A 127.0.0.2
        AAAA ::1
broken  MX 10 host.broken.example.
hasty   A 127.0.0.5
grey    A 127.0.0.6
stern   A 127.0.0.7
rude    A 127.0.0.8
ladder  MX 10 deaf
        MX 20 hasty
        MX 30 grey
        MX 40 two
strict  MX 10 stern
        MX 20 two
strange MX 10 rude
        MX 20 three
sick    MX 10 deaf
wild    MX 10 two
*.wild  MX 10 three
{MANY}
*.{LONG} A 127.0.0.2
"""

MOODS = {
    5: {"BANNER": "421 4.3.2 too busy"},
    6: {"RCPT": "450 4.7.1 greylisted, come back"},
    7: {"RCPT": "550 5.7.1 we know you"},
    8: {"BANNER": "554 5.7.1 not with this address"},
}
"""What exchanges on 127.0.0.5 … say."""


@dataclass
class World:
    """A hub, a name server, and three exchanges on addresses of their own."""

    hub: Twistd
    names: NameServer
    two: Exchange
    three: Exchange
    four: Exchange
    six: Exchange | None
    ann: str


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if NameServer.program() is None:
        pytest.skip("nsd is not installed")
    with home("dns") as place, contextlib.ExitStack() as stack:
        other = "plain MX 10 two\ntwo A 127.0.0.2\n"
        zones = {"far.example": ZONE, "other.example": other}
        names = NameServer(place / "nsd", zones, ("broken.example",))
        names.start()
        stack.callback(names.stop)
        [port] = free_ports(1)
        hub = Twistd(
            place / "hub",
            f"[queue]\n{DELAY}\n[dns]\nservers = 127.0.0.1:{names.port}\n"
            f"[relay]\nport = {port}\naddresses = 20\nhosts = 8\n",
            ports={"smtp": port},
        )
        for number, replies in MOODS.items():
            stack.enter_context(Exchange(f"127.0.0.{number}", port, replies))
        made = [stack.enter_context(Exchange(f"127.0.0.{n}", port)) for n in (2, 3, 4)]
        try:
            six = stack.enter_context(Exchange("::1", port))
        except OSError:
            six = None
        ann = hub.add("ann")
        hub.start()
        stack.callback(hub.stop)
        yield World(hub, names, made[0], made[1], made[2], six, ann)


@pytest.mark.parametrize(
    ("domain", "by"),
    [
        ("plain", "two"),  # the best of two
        ("fall", "three"),  # the best refuses connections
        ("gone", "three"),  # the best does not exist
        ("only", "two"),  # the implicit MX
        ("alias", "two"),  # a chain of CNAMEs within the zone
        ("out", "two"),  # a CNAME that leaves the zone
        ("outside", "two"),  # an exchange in another zone
        ("mxalias", "two"),  # an exchange that is an alias: forbidden, and everywhere
        ("wild", "two"),
        ("a.b.wild", "three"),
        ("strange", "three"),  # a host that wants nothing of us is not the domain's last word
    ],
)
def test_delivered(world: World, domain: str, by: str) -> None:
    """Mail goes to the exchange that the records of its domain name (RFC 5321 §5.1)."""
    recipient = f"bob@{domain}.far.example"
    world.hub.submit(world.ann, recipient)
    exchange: Exchange = getattr(world, by)
    taken = exchange.wait(recipient)
    assert taken.sender == world.ann
    assert taken.recipients == [recipient]


def test_equals_in_turn(world: World) -> None:
    """Exchanges of the same preference share the mail (RFC 5321 §5.1)."""
    for number in range(24):
        world.hub.submit(world.ann, f"bob{number}@equal.far.example")

    def counts() -> list[int] | None:
        found = [
            sum("equal.far.example" in it.recipients[0] for it in exchange.taken)
            for exchange in (world.two, world.three, world.four)
        ]
        return found if sum(found) == 24 else None

    assert all(until(counts, "24 messages"))


def test_many_exchanges(world: World) -> None:
    """An answer too long for a datagram is asked for over TCP (RFC 7766 §5)."""
    query = dns.message.make_query("many.far.example", "MX", use_edns=0, payload=1232)
    answer = dns.query.udp(query, "127.0.0.1", 5, world.names.port)
    assert answer.flags & dns.flags.TC
    assert not answer.answer, "nothing to be had from a datagram"
    world.hub.submit(world.ann, "bob@many.far.example")
    world.two.wait("bob@many.far.example")


def test_ipv6(world: World) -> None:
    """An exchange with an IPv6 address only is reached there."""
    if world.six is None:
        pytest.skip("no IPv6 on loopback")
    world.hub.submit(world.ann, "bob@v6.far.example")
    world.six.wait("bob@v6.far.example")
    world.hub.submit(world.ann, "bob@mixed.far.example")
    until(
        lambda: any(
            "bob@mixed.far.example" in it.recipients
            for exchange in (world.two, world.six)
            if exchange is not None
            for it in exchange.taken
        ),
        "one of two addresses",
    )


@pytest.mark.parametrize(
    ("recipient", "status", "words"),
    [
        ("bob@null.far.example", "5.1.10", "does not accept mail"),
        ("bob@nowhere.far.example", "5.1.2", "does not exist"),
        ("bob@lost.far.example", "5.4.4", "does not exist"),
        ("bob@bare.far.example", "5.4.4", "no address"),
        ("bob@text.far.example", "5.4.4", "no address"),
        ("bob@loop.far.example", "5.4.6", "loop"),
        ("bob@loop2.far.example", "5.4.6", "loop"),
    ],
)
def test_bounced(world: World, recipient: str, status: str, words: str) -> None:
    """What can never be delivered goes back at once, and says why."""
    world.hub.submit(world.ann, recipient, subject=f"to {recipient}")
    bounce = world.hub.bounce(world.ann, recipient)
    assert f"Status: {status}" in bounce
    assert "Action: failed" in bounce
    assert words in bounce
    assert f"Subject: to {recipient}" in bounce


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("broken.example", "Looking up broken.example failed"),
        ("broken.far.example", "Looking up host.broken.example failed"),
        ("circle.far.example", "failed"),
        ("unknown.test", "Looking up unknown.test failed"),  # REFUSED: a lame delegation
        ("sick.far.example", "refused"),
        ("backup.far.example", "refused"),  # we are the second: what ranks below is not tried
    ],
)
def test_deferred(world: World, domain: str, words: str) -> None:
    """What may work later stays in the queue, with the reason."""
    queue_id = world.hub.submit(world.ann, f"bob@{domain}")
    shown = world.hub.deferred(queue_id)
    [recipient] = shown["recipients"]
    assert recipient["state"] == "pending"
    assert words in recipient["reply"]
    if domain == "backup.far.example":
        assert [it["host"] for it in shown["attempts"]] == ["deaf.far.example"]


def test_attempts_in_order(world: World) -> None:
    """Each host that was called is told of, in order, up to the one that spoke of the recipient."""
    queue_id = world.hub.submit(world.ann, "bob@ladder.far.example")
    shown = world.hub.deferred(queue_id)
    facts = [(it["host"].partition(".")[0], it["address"], it["reply"]) for it in shown["attempts"]]
    assert [host for host, _, _ in facts] == ["deaf", "hasty", "grey"]
    assert [address for _, address, _ in facts] == ["127.0.0.9", "127.0.0.5", "127.0.0.6"]
    assert "refused" in facts[0][2]
    assert "too busy" in facts[1][2]
    assert "greylisted" in shown["recipients"][0]["reply"]
    assert all("bob@ladder.far.example" not in it.recipients for it in world.two.taken)


def test_their_words(world: World) -> None:
    """A refusal of an exchange is final, and reaches the sender as it was said."""
    world.hub.submit(world.ann, "bob@strict.far.example")
    bounce = world.hub.bounce(world.ann, "bob@strict.far.example")
    assert "Diagnostic-Code: smtp; 550 5.7.1 we know you" in bounce
    assert "Remote-MTA: dns; stern.far.example" in bounce
    assert "Status: 5.7.1" in bounce
