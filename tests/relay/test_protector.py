"""Finding out what domains and hosts demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailhub.mail.reply import Refusal
from mailhub.policy.limits import ProtectionLimits
from mailhub.policy.protection import NOTHING, Assurance, Protection
from mailhub.policy.route import Exchange, TlsDemand
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.policy.tlsrpt import Contact, Fault
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.ports.web import FetchFailed
from mailhub.queue.assurances import Assurances
from mailhub.relay.names import Names
from mailhub.relay.protector import RETRY, Protector

DOMAIN, HOST = "far.example", "mx.far.example"
HOP = Exchange(DOMAIN)
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.far.example\nmax_age: 10000\n"
POLICY = StsPolicy(Mode.ENFORCE, (HOST,), 10_000)
RECORD = Tlsa(3, 1, 1, bytes(32))


class World:
    """The DNS and the web, as far as they are asked."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.id: Any = b"v=STSv1; id=1;"
        self.text: Any = TEXT
        self.fetched = 0
        self.tlsa_answer: Any = Answer((RECORD,), authentic=True)
        self.authentic = True
        self.asked: list[str] = []
        self.news: list[str] = []
        self.faults: list[Fault | None] = []
        self.assurances = Assurances(str(directory), lambda _: None)
        self.protector = Protector(
            self.assurances,
            self,
            self.clock,
            self.clock.seconds,
            ProtectionLimits(patience=10),
            self,
            lambda subject, _: self.news.append(subject),
        )

    # ---- Resolver and Web --------------------------------------------------------

    async def mx(self, domain: str) -> Answer[Mx]:
        raise AssertionError

    async def ptr(self, address: str) -> Answer[str]:
        raise AssertionError

    async def addresses(self, host: str) -> Answer[str]:
        if host == "gone.example":
            raise NoSuchDomain
        if host == "mute.example":
            raise LookupFailed("SERVFAIL")
        return Answer(("192.0.2.1",), self.authentic)

    async def txt(self, name: str) -> Answer[bytes]:
        assert name == "_mta-sts.far.example"
        if isinstance(self.id, Exception):
            raise self.id
        return Answer((self.id,))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        self.asked.append(name)
        if isinstance(self.tlsa_answer, Exception):
            raise self.tlsa_answer
        found: Answer[Tlsa] = self.tlsa_answer
        return found

    async def get(self, host: str, path: str, limit: int) -> bytes:
        assert (host, path) == ("mta-sts.far.example", "/.well-known/mta-sts.txt")
        self.fetched += 1
        text = self.text
        if isinstance(text, Deferred):
            text = await text
        if isinstance(text, Exception):
            raise text
        assert isinstance(text, bytes)
        return text

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        raise AssertionError

    def connected(self, contact: Contact) -> None:
        assert contact.domain == DOMAIN
        self.faults.append(contact.fault)

    # ---- Asking ------------------------------------------------------------------------------

    def names(self) -> Names:
        return Names(self, self.clock.seconds)

    def begin(self) -> list[Any]:
        """What is known of the domain, once it is."""
        found: list[Any] = []
        work = self.protector.of_domain(DOMAIN, self.names(), authentic=False)
        Deferred.fromCoroutine(work).addBoth(found.append)
        return found

    def policy(self) -> StsPolicy | None:
        [found] = self.begin()
        assert isinstance(found, Assurance)
        return found.sts

    def records(self, host: str = HOST, *, authentic: bool = True) -> Any:
        found: list[Any] = []
        work = self.protector.records(host, HOP, self.names(), Assurance(authentic=authentic))
        done = Deferred.fromCoroutine(work)
        done.addCallbacks(found.append, lambda failure: found.append(failure.value))
        [result] = found
        return result


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.assurances.close()


class TestPolicies:
    """MTA-STS (RFC 8461 §5)."""

    def test_fetched_once(self, world: World) -> None:
        """A policy is fetched, and kept as long as its id stays the same."""
        assert world.policy() == POLICY
        assert world.policy() == POLICY
        assert world.fetched == 1

    def test_another_id(self, world: World) -> None:
        """A new id has it fetched again."""
        world.policy()
        world.id, world.text = b"v=STSv1; id=2;", TEXT.replace(b"enforce", b"testing")
        found = world.policy()
        assert found is not None
        assert found.mode is Mode.TESTING

    @pytest.mark.parametrize("answer", [NoSuchDomain(), b"v=spf1 -all", LookupFailed("slow")])
    def test_no_record(self, world: World, answer: Any) -> None:
        """A domain without a record has no policy; one that was kept holds until it expires."""
        usual, world.id = world.id, answer
        assert world.begin() == [NOTHING]
        world.id = usual
        world.policy()
        world.id = answer
        assert world.policy() == POLICY
        world.clock.advance(10_001)
        assert world.policy() is None

    @pytest.mark.parametrize("text", [FetchFailed("404"), b"no policy"])
    def test_not_to_be_had(self, world: World, text: Any) -> None:
        """It is asked for again after a while; one that was kept holds meanwhile."""
        world.text = text
        assert world.policy() is None
        assert world.policy() is None
        assert world.fetched == 1
        world.clock.advance(RETRY)
        world.text = TEXT
        assert world.policy() == POLICY
        world.id, world.text = b"v=STSv1; id=2;", text
        assert world.policy() == POLICY

    def test_shared(self, world: World) -> None:
        """Many who want the same policy have it fetched once."""
        world.text = Deferred()
        first, second = world.begin(), world.begin()
        assert (first, second, world.fetched) == ([], [], 1)
        world.text.callback(TEXT)
        assert first == second == [Assurance(sts=POLICY)]

    def test_patience(self, world: World) -> None:
        """Mail does not wait long; the policy is there for the next message."""
        world.text = Deferred()
        found = world.begin()
        world.clock.advance(11)
        assert found == [NOTHING]
        world.text.callback(TEXT)
        assert world.policy() == POLICY

    def test_pushed_out(self, world: World) -> None:
        """A fetch that others have pushed out of memory ends like any other."""
        world.text = Deferred()
        found = world.begin()
        world.protector._fetches.clear()
        with capturedLogs() as logged:
            world.text.callback(TEXT)
        assert found == [Assurance(sts=POLICY)]
        assert logged == []

    def test_renewed(self, world: World) -> None:
        """It is fetched anew in the second half of its life, and nobody waits for that."""
        world.policy()
        world.clock.advance(6000)
        assert world.policy() == POLICY
        assert world.fetched == 2
        world.clock.advance(6000)
        assert world.policy() == POLICY

    def test_a_policy_of_none(self, world: World) -> None:
        """A domain that has done with MTA-STS demands nothing."""
        world.text = b"version: STSv1\nmode: none\nmax_age: 100\n"
        assert world.begin() == [NOTHING]

    def test_switched_off(self, world: World) -> None:
        """The operator may not want it."""
        world.protector.limits = ProtectionLimits(sts=False)
        assert world.begin() == [NOTHING]

    def test_disk(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A database that fails costs the policy, and no mail."""

        def fail(*_: object) -> None:
            raise OSError("I/O error")

        for name in ("policy", "keep", "offered", "offers"):
            monkeypatch.setattr(world.assurances, name, fail)
        assert world.policy() is None
        needed = Protection(TlsDemand.OPPORTUNISTIC)
        for certificate, fault in (("verified", None), ("", Fault.NOT_OFFERED)):
            contact = Contact(DOMAIN, NOTHING, needed, certificate, fault, HOST)
            world.protector.connected(contact)
        assert world.news == []


class TestRecords:
    """DANE (RFC 7672 §2.2)."""

    def test_found(self, world: World) -> None:
        """By port and host."""
        assert world.records() == (RECORD,)
        assert world.asked == ["_25._tcp.mx.far.example"]

    def test_not_believed(self, world: World) -> None:
        """Where the exchange's name or address is not authenticated nobody asks."""
        assert world.records(authentic=False) == ()
        world.authentic = False
        assert world.records() == ()
        assert world.asked == []

    def test_unsigned(self, world: World) -> None:
        """Records that are not authenticated are none."""
        world.tlsa_answer = Answer((RECORD,))
        assert world.records() == ()

    def test_absent(self, world: World) -> None:
        """No such name, no demand."""
        world.tlsa_answer = NoSuchDomain()
        assert world.records() == ()

    def test_suppressed(self, world: World) -> None:
        """Records that cannot be had make the host unusable for now."""
        world.tlsa_answer = LookupFailed("SERVFAIL")
        refused = world.records()
        assert isinstance(refused, Refusal)
        assert (refused.reply.code, refused.reply.detail) == (451, "7.5")

    def test_no_host(self, world: World) -> None:
        """A host that does not exist, or is an address, has no records."""
        assert world.records("gone.example") == ()
        assert world.records("192.0.2.1") == ()
        assert world.asked == []

    def test_a_host_that_cannot_be_looked_up(self, world: World) -> None:
        """It is not used now: whoever got an answer a moment later would have no records."""
        refused = world.records("mute.example")
        assert isinstance(refused, Refusal)
        assert (refused.reply.code, refused.reply.detail) == (451, "4.3")

    def test_switched_off(self, world: World) -> None:
        """The operator may not want it."""
        world.protector.limits = ProtectionLimits(dane=False)
        assert world.records() == ()


class TestConnections:
    """What came of the encryption is told to whoever wants to know."""

    def meet(self, world: World, certificate: str, fault: Fault | None = None) -> None:
        needed = Protection(TlsDemand.OPPORTUNISTIC)
        contact = Contact(DOMAIN, NOTHING, needed, certificate, fault, HOST, "192.0.2.1")
        world.protector.connected(contact)

    def test_downgrade(self, world: World) -> None:
        """A host that offered TLS and no longer does is told of, once."""
        self.meet(world, "", Fault.NOT_OFFERED)
        assert world.news == [], "it never did"
        self.meet(world, "verified")
        self.meet(world, "verified")
        self.meet(world, "", Fault.NOT_OFFERED)
        self.meet(world, "", Fault.NOT_OFFERED)
        assert world.news == ["mx.far.example offers no TLS any more"]
        assert len(world.faults) == 5

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            (FetchFailed("404"), Fault.STS_FETCH),
            (FetchFailed("expired", untrusted=True), Fault.STS_WEBPKI),
            (b"no policy", Fault.STS_INVALID),
        ],
    )
    def test_policies(self, world: World, text: Any, fault: Fault) -> None:
        """Failures to get a policy are told apart (RFC 8460 §4.3.2.2)."""
        world.text = text
        world.policy()
        assert world.faults == [fault]

    def test_records(self, world: World) -> None:
        """So are TLSA records that cannot be had."""
        world.tlsa_answer = LookupFailed("SERVFAIL")
        world.records()
        assert world.faults == [Fault.DNSSEC]
