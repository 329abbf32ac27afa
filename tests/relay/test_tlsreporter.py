"""TLS reports, gathered and sent."""

from __future__ import annotations

import email
import gzip
import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.protection import NOTHING, VERIFIED, Protection
from mailhub.policy.route import TlsDemand
from mailhub.policy.tlsrpt import DAY, Contact, Fault
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.ports.web import FetchFailed
from mailhub.queue.assurances import Assurances
from mailhub.relay.tlsreporter import GIVE_UP, MEDIA_TYPE, TlsReporter
from tests.rig import run

ANY = Protection(TlsDemand.OPPORTUNISTIC)
RUA = {"sent": "mailto:reports@far.example", "posted": "https://far.example/tls"}
WISH = f"v=TLSRPTv1; rua={RUA['sent']},{RUA['posted']}".encode()


class World:
    """The DNS, the web, the queue and the time."""

    def __init__(self, directory: FilePath) -> None:
        self.now = 20_000.0 * DAY + 100
        self.wish: Any = WISH
        self.posted: list[tuple[str, str, str, bytes]] = []
        self.sent: list[tuple[Path, bytes]] = []
        self.faults: dict[str, Exception] = {}
        self.assurances = Assurances(str(directory), lambda _: None)
        self.reporter = TlsReporter(
            self.assurances,
            lambda: self,
            self,
            self.send,
            "hub.example",
            lambda: self.now,
            sending=True,
        )

    async def mx(self, domain: str) -> Answer[Mx]:
        raise AssertionError

    async def addresses(self, host: str) -> Answer[str]:
        raise AssertionError

    async def ptr(self, address: str) -> Answer[str]:
        raise AssertionError

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        raise AssertionError

    async def txt(self, name: str) -> Answer[bytes]:
        assert name == "_smtp._tls.far.example"
        if isinstance(self.wish, Exception):
            raise self.wish
        return Answer((self.wish,))

    async def get(self, host: str, path: str, limit: int) -> bytes:
        raise AssertionError

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        if "posted" in self.faults:
            raise self.faults["posted"]
        self.posted.append((host, path, kind, octets))

    async def send(self, path: Path, content: bytes) -> None:
        if "sent" in self.faults:
            raise self.faults["sent"]
        self.sent.append((path, content))

    def connect(self, certificate: str = VERIFIED, fault: Fault | None = None) -> None:
        host, address = "mx.far.example", "192.0.2.1"
        contact = Contact("far.example", NOTHING, ANY, certificate, fault, host, address)
        self.reporter.connected(contact)


@pytest.fixture
def world(tmp_path: FilePath) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.assurances.close()


def test_sent(world: World) -> None:
    """The day after, to every place that the domain names, once."""
    world.connect()
    world.connect()
    world.connect("", Fault.NOT_OFFERED)
    assert run(world.reporter.report()) == 0, "the day is not over"
    world.now += DAY
    assert run(world.reporter.report()) == 1
    assert run(world.reporter.report()) == 0
    [(host, path, kind, octets)] = world.posted
    assert (host, path, kind) == ("far.example", "/tls", MEDIA_TYPE)
    found = json.loads(gzip.decompress(octets))
    assert found["policies"][0]["summary"] == {
        "total-successful-session-count": 2,
        "total-failure-session-count": 1,
    }
    [(to, content)] = world.sent
    assert str(to) == "reports@far.example"
    message = email.message_from_bytes(content)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "far.example"
    _, attached = message.walk(), message.get_payload(1)
    assert isinstance(attached, email.message.Message)
    assert attached.get_content_type() == MEDIA_TYPE
    assert attached.get_filename() == (
        f"hub.example!far.example!{20_000 * DAY}!{20_001 * DAY - 1}.json.gz"
    )
    assert attached.get_payload(decode=True) == octets
    assert all(len(line) < 998 for line in content.splitlines())


@pytest.mark.parametrize("wish", [NoSuchDomain(), b"v=spf1 -all"])
def test_not_wanted(world: World, wish: Any) -> None:
    """A domain that asks for no reports gets none, and what was counted is forgotten."""
    world.connect()
    world.wish = wish
    world.now += DAY
    assert run(world.reporter.report()) == 0
    world.wish = WISH
    assert run(world.reporter.report()) == 0


@pytest.mark.parametrize("fault", ["wish", "posted", "sent"])
def test_again(world: World, fault: str) -> None:
    """What could not be sent is sent with a later round, but not for ever."""
    faults: dict[str, Exception] = {
        "posted": FetchFailed("500"),
        "sent": Refusal(452, "3.1", "Full"),
    }

    def fail() -> None:
        if fault == "wish":
            world.wish = LookupFailed("slow")
        else:
            world.wish = f"v=TLSRPTv1; rua={RUA[fault]}".encode()
            world.faults = faults

    def recover() -> None:
        world.wish, world.faults = WISH, {}

    world.connect()
    world.now += DAY
    fail()
    assert run(world.reporter.report()) == 0
    recover()
    assert run(world.reporter.report()) == 1
    world.connect()
    world.now += DAY * GIVE_UP
    fail()
    assert run(world.reporter.report()) == 0
    recover()
    assert run(world.reporter.report()) == 0


@pytest.mark.parametrize("fails", ["posted", "sent"])
def test_one_is_enough(world: World, fails: str) -> None:
    """A place that cannot be reached costs the others nothing, and does not bring them twice."""
    world.faults[fails] = (
        Refusal(550, "1.1", "No such user") if fails == "sent" else FetchFailed("")
    )
    world.connect()
    world.now += DAY
    assert run(world.reporter.report()) == 1
    assert run(world.reporter.report()) == 0
    assert (len(world.posted), len(world.sent)) == ((0, 1) if fails == "posted" else (1, 0))


def test_switched_off(world: World) -> None:
    """Nothing is counted then."""
    world.reporter.sending = False
    world.connect()
    world.reporter.sending = True
    world.now += DAY
    assert run(world.reporter.report()) == 0
