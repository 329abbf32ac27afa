"""What would happen to a message, step by step, and nothing happens."""

from __future__ import annotations

from dataclasses import replace

from mailhub.config.load import parse
from mailhub.config.settings import Settings
from mailhub.mail.address import Path, parse_address
from mailhub.policy.rule import Rule
from mailhub.ports.conversation import Client
from mailhub.ports.resolver import Resolver
from mailhub.relay.allowances import Allowances, NothingSent
from mailhub.relay.explain import explained
from mailhub.relay.scout import Scout
from mailhub.relay.step import Letter, Step, World
from tests.policy.test_alias import FakeDirectory, at
from tests.relay.test_names import FakeResolver
from tests.relay.test_scout import make_scout
from tests.rig import run

DIRECTORY = FakeDirectory(
    accounts={"alice": True, "bob": True, "gone": False},
    aliases={"team": ["alice", "bob", "gone"], "out": ["carol@far.example"]},
    master="bob",
)
CONFIGURATION = """
[hub]
hostname = hub.example
[submission]
message limit = 1M
[relay]
known providers = no
address family = ipv4
[provider far]
mx = *.far.example
messages per minute = 60
[route partner]
recipients = partner.example
host = smtp.partner.example:465
"""
ALICE = Client("192.0.2.1", 1, account=run(DIRECTORY.account(at("alice"))), submission=True)
STRANGER = Client("198.51.100.9", 1)
ANN = at("alice")
RESOLVER = FakeResolver()
FAR = Path("x", "far.example")


def configuration() -> Settings:
    settings, mistakes = parse(CONFIGURATION)
    assert mistakes == []
    return settings


SETTINGS = configuration()


def world_of(settings: Settings, resolver: Resolver | None, scout: Scout | None = None) -> World:
    return World(
        settings,
        DIRECTORY,
        lambda: 0.0,
        lambda hosts: None,
        Allowances(settings.allowances, NothingSent(), lambda: 0.0, lambda *_: None),
        scout or make_scout(),
        resolver,
        lambda name: (f"next slot of {name}: now",),
    )


def steps(
    *to: Path,
    client: Client = ALICE,
    sender: Path = ANN,
    header: str = "",
    size: int = 0,
    resolver: Resolver | None = RESOLVER,
    settings: Settings = SETTINGS,
) -> list[Step]:
    letter = Letter(sender, to, header.replace("\n", "\r\n").encode(), size)
    world = world_of(settings, resolver)

    async def collected() -> list[Step]:
        return [step async for step in explained(letter, client, world)]

    return run(collected())


def told(found: list[Step]) -> list[str]:
    return [f"{step.stage} {step.what}" for step in found]


class TestVerdicts:
    def test_allowed(self) -> None:
        """Sender and recipients are judged as they would be, and each says why."""
        first, second, third, *_ = steps(at("bob"), at("team"))
        assert first.rule == Rule("submission", "own addresses only")
        assert (second.stage, second.about) == ("RCPT", "bob@hub.example")
        assert third.what == "<team@hub.example>: stands for 2 recipients"

    def test_a_forged_sender(self) -> None:
        """One who is not the account ends it, by the line that demands that."""
        [step] = steps(FAR, sender=at("bob"))
        assert step.refused
        assert step.what.startswith("550 5.7.1")
        assert step.rule == Rule("submission", "own addresses only")

    def test_relaying(self) -> None:
        """Strangers are told that they are, and which line could change that."""
        _, step = steps(FAR, client=STRANGER, sender=Path("s", "else.example"))
        assert (step.refused, step.rule) == (True, Rule("smtp", "trusted networks"))
        _, step = steps(at("nobody"), client=STRANGER, sender=Path("s", "else.example"))
        assert (step.refused, step.rule) == (True, None)

    def test_members_that_refuse(self) -> None:
        """Of an alias those who would get nothing are named."""
        refused = [step for step in steps(at("team")) if step.refused]
        assert [step.about for step in refused] == ["gone@hub.example"]

    def test_one_of_two(self) -> None:
        """What is refused for one recipient goes on for the others."""
        found = steps(at("nobody"), at("bob"))
        assert [step.stage for step in found if step.refused] == ["RCPT"]
        assert found[-1].what == "filed into INBOX of bob@hub.example"


class TestContent:
    def test_size(self) -> None:
        """A message that is too large goes nowhere."""
        found = steps(at("bob"), size=1048577)
        assert (found[-1].refused, found[-1].rule) == (True, Rule("submission", "message limit"))
        assert "content size: 999 octets, of 1048576" in told(steps(at("bob"), size=999))

    def test_header(self) -> None:
        """The header is judged, and what is missing in it would be added."""
        found = told(steps(at("bob"), header="Subject: x\nFrom: alice@hub.example\n\n", size=9))
        assert "content From: an address of the account" in found
        assert "content header: date, message-id would be added (RFC 6409 §8)" in found
        *_, last = steps(at("bob"), header="From: bob@hub.example\n\n", size=9)
        assert (last.refused, last.rule) == (True, Rule("submission", "own addresses only"))

    def test_loops(self) -> None:
        """A message that was here before is refused as it would be."""
        header = "Delivered-To: bob@hub.example\n\n"
        *_, last = steps(at("bob"), client=STRANGER, header=header, size=9)
        assert last.what.startswith("554 5.4.6")


def test_class() -> None:
    """Bulk mail is told as such, by the section that says so."""
    [step] = [
        step
        for step in steps(at("bob"), header="From: alice@hub.example\nPrecedence: bulk\n\n", size=9)
        if step.stage == "class"
    ]
    assert (step.what, step.rule) == ("class: bulk, weight 1", Rule("class bulk"))


class TestTheWayOut:
    def test_exchanges(self) -> None:
        """Route, lookups, provider, its terms, how it stands, and the schedule."""
        found = steps(FAR)
        first = "limit alice@hub.example: 0 of 1000 recipients per hour sent; beyond them: hold"
        assert told(found)[2] == first
        assert told(found)[5:] == [
            "class class: normal, weight 10",
            "route route: to the exchanges of far.example",
            "lookup MX far.example: 10 mx.far.example, 20 mx2.far.example, authentic",
            "lookup A/AAAA mx.far.example: 192.0.2.1",
            "lookup A/AAAA mx2.far.example: 192.0.2.1",
            "lookup TXT _mta-sts.far.example: no such name",
            "terms provider: far",
            "terms connections: 20",
            "terms messages per connection: 100",
            "terms at most 60 messages a minute",
            "TLS TLS: opportunistic",
            "terms addresses: ipv4 only",
            "TLS DNSSEC: the exchanges of far.example are authentic",
            "TLS MTA-STS: no policy",
            "TLS DANE: mx.far.example has no authentic TLSA records",
            "TLS mx.far.example: opportunistic, as the configuration demands",
            "TLS DANE: mx2.far.example has no authentic TLSA records",
            "TLS mx2.far.example: opportunistic, as the configuration demands",
            "slot next slot of far: now",
            "retry attempted at once; if that fails for a while, again after 60 seconds",
            "retry its sender is told of a delay after 4 hours",
            "retry given up after 5 days",
        ]
        [minute] = [it for it in found if it.what.endswith("a minute")]
        assert SETTINGS.origins.told(minute.rule) == (
            "[provider far] messages per minute (line 11)"
        )

    def test_a_smarthost(self) -> None:
        """A route's host is looked up, and no exchange."""
        found = told(steps(Path("x", "partner.example")))
        assert "route route: to the host smtp.partner.example:465" in found
        assert "lookup A/AAAA smtp.partner.example: 192.0.2.1" in found
        assert "TLS TLS: verified" in found
        assert "slot next slot of route partner: now" in found

    def test_behind_an_alias(self) -> None:
        """Who is meant elsewhere is told, whoever was named."""
        found = steps(at("out"))
        assert found[1].what == "<out@hub.example>: is carol@far.example"
        assert [step.about for step in found if step.stage == "route"] == ["carol@far.example"]

    def test_nowhere(self) -> None:
        """A domain that is not there, or wants no mail, is told as the sender would be."""
        assert steps(Path("x", "nowhere.example"))[-1].what.startswith("550 5.1.2")
        assert steps(Path("x", "null.example"))[-1].what.startswith("556 5.1.10")

    def test_a_literal(self) -> None:
        """An address literal is its own exchange."""
        found = told(steps(parse_address("x@[192.0.2.77]")))
        assert "terms provider: nobody known, its exchanges are a group: 192.0.2.77" in found

    def test_offline(self) -> None:
        """Without the DNS what it would say is left open."""
        assert told(steps(FAR, resolver=None))[-5:-3] == [
            "TLS TLS: opportunistic",
            "lookup not looked up: provider and hosts are unknown",
        ]
        found = told(steps(Path("x", "partner.example"), resolver=None))
        assert "TLS TLS: verified" in found
        assert not any(each.startswith("lookup") for each in found)

    def test_ourselves(self) -> None:
        """Mail that would come back to us is told as the loop it is."""
        ours = replace(SETTINGS, hub=replace(SETTINGS.hub, hostname="mx.far.example"))
        assert steps(FAR, settings=ours)[-1].what.startswith("554 5.4.6")
