"""Providers in a world: their names, their outages, what they send back."""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.ports.resolver import Mx
from mailhub.ports.web import FetchFailed
from mailhub.relay.protector import WELL_KNOWN
from mailhub.sim.manners import Certificate, Dane, Manners, Outage, Sts, Window
from mailhub.sim.names import Fault
from mailhub.sim.providers import Providers
from mailhub.sim.sender import SenderFactory
from mailhub.sim.world import World
from tests.sim.machines import Client, Talker
from tests.sim.post import Post
from tests.sim.test_sender import ANN, Errands


def test_names() -> None:
    """A provider's domains lead to its hosts, patterns for names that nobody else has."""
    world = World()
    providers = Providers(world)
    providers.add(Manners("Far & Away", ("far.example", "*.far.example"), secure=True))
    providers.add(Manners("Rest", ("*",), ("mx1.rest.example", "mx2.rest.example")))
    records = world.names.records
    assert records("mx", "far.example") == [Mx(10, "mx.far---away.example")]
    assert records("mx", "a.far.example") == [Mx(10, "mx.far---away.example")]
    assert records("mx", "x.org") == [Mx(10, "mx1.rest.example"), Mx(20, "mx2.rest.example")]
    assert records("addresses", "mx2.rest.example") == world.hosts["mx2.rest.example"].addresses
    assert world.names.zone("far.example").secure


@pytest.mark.parametrize("outage", [Outage.SILENT, Outage.REFUSED])
def test_outages(outage: Outage) -> None:
    """During an outage nobody gets through, and afterwards everybody."""
    post = Post(outages=(Window(60, 600),), outage=outage)
    talker = post.call()
    post.world.run(60)
    assert post.call().octets == b""
    if outage is Outage.SILENT:
        assert post.say(talker, "EHLO x\n") == []
    post.world.run(600)
    assert post.call().octets[:3] == b"220"
    if outage is Outage.SILENT:
        assert talker.octets.startswith(b"250"), "TCP was patient"


def test_troubled_names() -> None:
    """A provider's DNS fails when it is to."""
    post = Post(names_fault="servfail", names_fails=(Window(60, 60),))
    zone, start = post.world.names.zone("far.example"), post.world.start
    assert [zone.fault(start + age) for age in (59, 60, 120)] == [None, Fault.SERVFAIL, None]


def test_tls() -> None:
    """A provider with a certificate secures its connections; the authority is known."""
    post = Post(tls=Certificate.GOOD)
    assert post.providers.authorities
    assert post.receiver.context is not None
    assert Post().providers.authorities == ""


def test_implicit_tls() -> None:
    """A host may want TLS from the first octet, at another port."""
    world = World()
    receiver = Providers(world).add(
        Manners("Hop", (), ("hop.example",), tls=Certificate.GOOD), port=465, implicit=True
    )
    talker = Talker(world, b"in the clear\r\n")
    client = world.host("client.example")
    client.reactor.connectTCP(receiver.hosts[0].addresses[0], 465, Client(talker))
    world.run(5)
    assert b"220" not in talker.octets
    assert talker.lost is not None


@pytest.mark.parametrize(
    ("manners", "sender", "content"),
    [
        ({"bounces": 1.0, "bounce_delay": 600.0}, "", b"Action: failed"),
        (
            {"complaints": 1.0, "complaint_delay": 600.0, "feedback": True},
            "feedback@mx.far.example",
            b"Feedback-Type: abuse",
        ),
    ],
)
def test_what_comes_back(manners: dict[str, float], sender: str, content: bytes) -> None:
    """Bounces and complaints come to the sender's domain, after a while, once it takes them."""
    given: dict[str, Any] = dict(manners)
    post = Post(**given)
    home = Manners(
        "Here",
        ("here.example",),
        ("mx.here.example",),
        outages=(Window(0, 900),),
        outage=Outage.REFUSED,
    )
    post.providers.add(home)
    errands = Errands((ANN,))
    factory = SenderFactory(post.client, errands.next, errands.leave)
    post.client.reactor.connectTCP(post.receiver.hosts[0].addresses[0], 25, factory)
    post.world.run(590)
    assert post.providers.pending == 1
    assert len(post.books.taken) == 1
    post.world.run(1200)
    message, _ = post.books.taken[1]
    assert (message.sender, message.recipients) == (sender, ["s@here.example"])
    assert content in message.content
    assert post.providers.pending == 0


def test_complaints_that_nobody_is_told_of() -> None:
    """A provider without a feedback loop only thinks the worse of its sender."""
    post = Post(complaints=1.0, complaint_delay=60.0)
    post.send()
    post.world.run(120)
    source = post.receiver.memory.source(post.client.addresses[0])
    assert source.score < 100
    assert len(post.books.taken) == 1


def test_dane_and_mta_sts() -> None:
    """A provider publishes what it says of its TLS; what is wrong with that is what was asked."""
    world = World()
    providers = Providers(world)
    for name, dane, sts in (
        ("good", Dane.GOOD, Sts.ENFORCE),
        ("bad", Dane.WRONG, Sts.WRONG),
        ("gone", Dane.NONE, Sts.MISSING),
        ("none", Dane.NONE, Sts.NONE),
    ):
        manners = Manners(
            name, (f"{name}.example",), tls=Certificate.GOOD, dane=dane, sts=sts, secure=True
        )
        providers.add(manners)
    records, pages = world.names.records, world.pages
    [good] = records("tlsa", "_25._tcp.mx.good.example") or []
    [bad] = records("tlsa", "_25._tcp.mx.bad.example") or []
    assert (good.usage, good.selector, good.matching) == (3, 1, 1)
    assert good.data != bad.data
    assert records("tlsa", "_25._tcp.mx.gone.example") is None
    assert b"mx: mx.good.example\r\n" in pages.find("mta-sts.good.example", WELL_KNOWN)
    assert b"mx: mx.elsewhere" in pages.find("mta-sts.bad.example", WELL_KNOWN)
    assert records("txt", "_mta-sts.gone.example") == [b"v=STSv1; id=1"]
    with pytest.raises(FetchFailed):
        pages.find("mta-sts.gone.example", WELL_KNOWN)
    assert records("txt", "_mta-sts.none.example") is None
