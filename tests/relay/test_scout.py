"""What a domain demands of TLS, found out and not kept."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from mailhub.policy.limits import ProtectionLimits
from mailhub.policy.protection import Assurance
from mailhub.policy.route import Exchange, TlsDemand
from mailhub.policy.rule import Rule
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.ports.resolver import Answer, LookupFailed, NoSuchDomain, Tlsa
from mailhub.ports.web import FetchFailed
from mailhub.queue.assurances import Kept
from mailhub.relay.names import Names
from mailhub.relay.scout import Scout, span
from tests.relay.test_names import FakeResolver
from tests.rig import run

NOW = 1_000_000.0
HOP = Exchange("far.example")
RECORD = Tlsa(3, 1, 1, bytes(32))
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.far.example\nmax_age: 864000\n"
KEPT = Kept("1", StsPolicy(Mode.ENFORCE, ("mx.far.example",), 864_000), NOW - 7200)


class Signed(FakeResolver):
    """Answers authentically, with what it is given."""

    def __init__(self, policy_id: bytes = b"", records: Any = ()) -> None:
        self.policy_id = policy_id
        self.records = records

    async def addresses(self, host: str) -> Answer[str]:
        return Answer(("192.0.2.1",), authentic=True)

    async def txt(self, name: str) -> Answer[bytes]:
        if not self.policy_id:
            raise NoSuchDomain
        return Answer((b"v=STSv1; id=" + self.policy_id,))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        if isinstance(self.records, Exception):
            raise self.records
        return Answer(tuple(self.records), authentic=True)


class Web:
    """Serves one policy, or none."""

    def __init__(self, text: bytes | None = None) -> None:
        self.text = text

    async def get(self, host: str, path: str, limit: int) -> bytes:
        if self.text is None:
            raise FetchFailed("connection refused")
        return self.text

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        raise AssertionError


class Memory:
    """What a hub has kept: there is no way to write to it."""

    def __init__(self, kept: Kept | None = None, offered: float | None = None) -> None:
        self.kept = kept
        self.seen = offered

    def policy(self, domain: str) -> Kept | None:
        return self.kept

    def offered(self, host: str) -> float | None:
        return self.seen


def make_scout(
    memory: Memory | None = None,
    web: Web | None = None,
    limits: ProtectionLimits | None = None,
    *,
    trusted: bool = True,
) -> Scout:
    limits = limits or ProtectionLimits()
    return Scout(memory, web or Web(), Clock(), lambda: NOW, limits, trusted=trusted)


def of_domain(
    scout: Scout, resolver: FakeResolver | None = None, *, authentic: bool = False
) -> tuple[Assurance, list[str]]:
    names = Names(resolver or FakeResolver(), lambda: NOW)
    assurance, told = run(scout.of_domain(HOP, names, authentic=authentic))
    return assurance, [it.what for it in told]


def of_host(
    scout: Scout,
    assurance: Assurance,
    resolver: FakeResolver | None = None,
    *,
    host: str = "mx.far.example",
    demand: TlsDemand = TlsDemand.OPPORTUNISTIC,
    require_tls: bool = False,
    optional: bool = False,
) -> list[str]:
    names = Names(resolver or Signed(), lambda: NOW)
    told = run(
        scout.of_host(
            host, HOP, demand, names, assurance, require_tls=require_tls, optional=optional
        )
    )
    return [it.what for it in told]


class TestDomain:
    def test_nothing(self) -> None:
        """A domain that demands nothing is told as such, with the lines that could matter."""
        names = Names(FakeResolver(), lambda: NOW)
        _, told = run(make_scout().of_domain(HOP, names, authentic=False))
        assert [(it.what, it.rule) for it in told] == [
            (
                "DNSSEC: far.example is not signed, and so DANE does not apply",
                Rule("dns", "trusted"),
            ),
            ("MTA-STS: no policy", Rule("relay", "mta-sts")),
        ]

    def test_dnssec(self) -> None:
        """Whether it was checked, or could not be."""
        _, told = of_domain(make_scout(), authentic=True)
        assert told[0] == "DNSSEC: the exchanges of far.example are authentic"
        _, told = of_domain(make_scout(trusted=False))
        assert told[0].startswith("DNSSEC: the resolver is not trusted")

    def test_a_policy_that_is_kept(self) -> None:
        """Its mode, its age, how long it holds, and whom it permits."""
        assurance, told = of_domain(make_scout(Memory(KEPT)), Signed(b"1"))
        assert told[1:] == [
            "MTA-STS: mode enforce, fetched 2 hours ago, holds for 10 days",
            "MTA-STS: permits mx.far.example",
        ]
        assert assurance.sts == KEPT.policy

    def test_a_new_policy(self) -> None:
        """It is fetched, to be told, and written nowhere."""
        memory = Memory(KEPT)
        assurance, told = of_domain(make_scout(memory, Web(TEXT)), Signed(b"2"))
        assert told[1].startswith("MTA-STS: mode enforce, fetched now, and not kept by this")
        assert assurance.sts is not None
        assert memory.kept is KEPT

    def test_no_policy_to_be_had(self) -> None:
        """The failure is told, and what holds in its place."""
        _, told = of_domain(make_scout(Memory(KEPT)), Signed(b"2"))
        assert told[1] == "MTA-STS: the policy cannot be had: connection refused"
        assert told[2].startswith("MTA-STS: mode enforce")
        _, told = of_domain(make_scout(), Signed(b"2"))
        assert told[2] == "MTA-STS: no policy"

    def test_expired(self) -> None:
        """One whose time is over does not hold."""
        old = Kept("1", KEPT.policy, NOW - 900_000)
        told = [it.what for it in make_scout(Memory(old)).kept("far.example")]
        assert told == ["MTA-STS: the policy fetched 10 days ago has expired"]

    def test_switched_off(self) -> None:
        """What the configuration does not ask for is not asked for."""
        _, told = of_domain(make_scout(limits=ProtectionLimits(sts=False)), Signed(b"1"))
        assert told[1] == "MTA-STS: is not asked for"
        names = Names(Signed(b"1"), lambda: NOW)
        plain = Exchange("far.example", tls=TlsDemand.NONE)
        assert run(make_scout().of_domain(plain, names, authentic=True))[1] == []
        assert names.lookups == []


class TestHost:
    def test_dane(self) -> None:
        """Records that can be met demand a certificate that matches."""
        told = of_host(make_scout(), Assurance(authentic=True), Signed(records=[RECORD]))
        assert told == [
            "DANE: mx.far.example has 1 usable TLSA record",
            "mx.far.example: verified, as DANE demands",
        ]
        unusable = Signed(records=[Tlsa(0, 1, 1, bytes(32))])
        told = of_host(make_scout(), Assurance(authentic=True), unusable)
        assert told[1] == "mx.far.example: required, as DANE demands"
        told = of_host(make_scout(), Assurance(authentic=True))
        assert told[0] == "DANE: mx.far.example has no authentic TLSA records"

    def test_records_that_cannot_be_had(self) -> None:
        """Such a host is not used, and that is what is told."""
        lost = Signed(records=LookupFailed("timed out"))
        [told] = of_host(make_scout(), Assurance(authentic=True), lost)
        assert told.startswith("mx.far.example: is not used: 451 4.7.5")

    def test_sts(self) -> None:
        """A host that the policy permits is to be verified; another one is not used."""
        assurance = Assurance(sts=KEPT.policy)
        assert of_host(make_scout(), assurance) == ["mx.far.example: verified, as MTA-STS demands"]
        [told] = of_host(make_scout(), assurance, host="mx.evil.example")
        assert "not among the exchanges of the MTA-STS policy" in told

    def test_only_reported(self) -> None:
        """A policy that is being tested forbids nothing."""
        testing = Assurance(sts=StsPolicy(Mode.TESTING, ("other.example",), 9))
        told = of_host(make_scout(), testing)
        assert told[0] == "mx.far.example: opportunistic, as the configuration demands"
        assert told[1].endswith("which is only reported")

    def test_what_is_remembered(self) -> None:
        """A host that has offered TLS is expected to, where nothing demands it."""
        memory = Memory(offered=NOW - 86_400 * 3)
        told = of_host(make_scout(memory), Assurance())
        assert told[-1].startswith("mx.far.example: has offered TLS, seen 3 days ago")
        assert len(of_host(make_scout(memory), Assurance(), demand=TlsDemand.REQUIRED)) == 1

    def test_the_message(self) -> None:
        """A message may demand more, or waive what its domain demands (RFC 8689)."""
        told = of_host(make_scout(), Assurance(authentic=True), require_tls=True)
        assert told[-1] == "mx.far.example: verified, as REQUIRETLS demands"
        [told_no] = of_host(make_scout(), Assurance(sts=KEPT.policy), optional=True)
        assert told_no == "mx.far.example: opportunistic, as the configuration demands"

    def test_no_dane(self) -> None:
        """Where DANE is switched off that is told."""
        scout = make_scout(limits=ProtectionLimits(dane=False))
        told = of_host(scout, Assurance(authentic=True), Signed(records=[RECORD]))
        assert told[0] == "DANE: is not asked for"


def test_spans() -> None:
    """Times are told in the unit that a person would use."""
    assert [span(it) for it in (-1, 59, 600, 7200, 172_800)] == [
        "0 seconds", "59 seconds", "10 minutes", "2 hours", "2 days",
    ]  # fmt: skip
