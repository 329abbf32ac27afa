"""A hub's working parts: who is given what, at the start and by a reload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from operator import attrgetter
from pathlib import Path as FilePath
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.assembly import Parts
from mailhub.config.change import applied
from mailhub.config.load import filled
from mailhub.config.schema import SECTIONS
from mailhub.config.settings import Settings
from mailhub.imap.settings import Limits as Imap
from mailhub.mail.address import NULL, Path, parse_address
from mailhub.policy.alias import Rules as Aliases
from mailhub.policy.limits import Family
from mailhub.policy.route import Exchange, Route, Smarthost, TlsDemand
from mailhub.pop3.settings import Limits as Pop3
from mailhub.ports.accounts import Account, LoginFault, LoginRefused
from mailhub.ports.conversation import Client
from mailhub.ports.outgoing import QueueId
from mailhub.smtp.limits import Limits as Smtp
from tests.hubs import ALICE, PASSWORD, World, deliver, populated

FAR = parse_address("x@far.example")


@pytest.fixture
def world(tmp_path: FilePath) -> Iterator[World]:
    made = populated(tmp_path / "state")
    yield made
    if made.hub.running:
        made.stop()


def parts_of(world: World) -> Parts:
    """The parts of a hub that runs."""
    world.start()
    return world.parts


def outcome(world: World, work: Any) -> Any:
    """What a coroutine comes to while the reactor turns; its failure is raised."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    world.reactor.pump([0.0] * 8)
    [result] = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


# ---- Reload --------------------------------------------------------------------------------

ELSEWHERE = (Imap, Pop3, Smtp, Path)
"""Values that `reception` hands to conversations; and addresses, of which there are many."""


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 1.01 or 1.0
        case str():
            return f"{value}-other"
        case Family():
            return Family.IPV6
        case TlsDemand():
            return TlsDemand.REQUIRED
        case tuple() if value and isinstance(value[0], float):
            return (*value, 9.0)
        case _:
            return None


def changed(settings: Settings) -> Settings:
    """Settings in which every key that a reload applies says something else."""
    found: dict[str, Any] = {"hub.postmaster": parse_address("help@hub.example")}
    for section in SECTIONS:
        for key in section.keys:
            new = other(attrgetter(key.target)(settings))
            if new is not None and section.name not in ("hub", "listen", "tls"):
                found[key.target] = new
    return replace(applied(settings, filled(settings, found)), routes=(Route("out"),))


def values(settings: Any) -> Iterator[Any]:
    """All the frozen values in settings, whatever they are in."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield value
            yield from values(value)


def held(parts: Parts) -> Iterator[tuple[str, object]]:
    """Every object of ours that is reached from the parts, and the way to it."""
    seen: set[int] = {id(parts.settings), id(parts.world)}
    waiting: list[tuple[str, object]] = [("parts", parts)]
    while waiting:
        way, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield way, one
        waiting += [(f"{way}{step}", value) for step, value in within(one)]


def within(one: object) -> Iterator[tuple[str, object]]:
    """What an object holds."""
    if isinstance(one, dict):
        yield from ((f"[{key!r}]", value) for key, value in one.items())
    elif isinstance(one, list | tuple | set | frozenset):
        yield from (("[]", value) for value in one)
    elif type(one).__module__.startswith("mailhub."):
        slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in (*getattr(one, "__dict__", ()), *slots):
            if hasattr(one, name):
                yield f".{name}", getattr(one, name)
    elif hasattr(one, "__self__"):
        yield "()", one.__self__


class TestObey:
    """A reload."""

    def test_nothing_old_is_left(self, world: World) -> None:
        """Whatever part holds limits, rules or a schedule holds the new ones afterwards."""
        parts = parts_of(world)
        old, new = world.settings, changed(world.settings)
        before, after = list(values(old)), list(values(new))
        kinds = {type(it) for it in after if not isinstance(it, ELSEWHERE) and it not in before}
        found = {type(one) for _, one in held(parts)} & kinds
        assert len(found) >= 14
        parts.obey(new)
        stale = [way for way, one in held(parts) if type(one) in kinds and one not in after]
        assert stale == []
        assert parts.reporter._helper == new.hub.postmaster

    def test_aliases(self, world: World) -> None:
        """Another separator counts for the next recipient."""
        parts = parts_of(world)
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        assert "250 2.1.5" in peer.say("RCPT TO:<alice+tag@hub.example>\r\n")
        rules = replace(world.settings.access, aliases=Aliases(separator="-"))
        parts.obey(replace(world.settings, access=rules))
        assert "550 5.1.1" in peer.say("RCPT TO:<alice+tag@hub.example>\r\n")
        assert "250 2.1.5" in peer.say("RCPT TO:<alice-tag@hub.example>\r\n")

    def test_guessing(self, world: World) -> None:
        """Guesses that were counted before are judged by the new limits."""
        parts = parts_of(world)
        logins = parts.logins(Client("192.0.2.1", 25))
        for _ in range(3):
            with pytest.raises(LoginRefused):
                outcome(world, logins.password(ALICE, "wrong"))
        parts.obey(filled(world.settings, {"auth.throttle.address_refused": 3}))
        with pytest.raises(LoginRefused) as caught:
            outcome(world, logins.password(ALICE, PASSWORD))
        assert caught.value.fault is LoginFault.THROTTLED

    def test_default_domain(self, world: World) -> None:
        """Names without a domain get the new one."""
        parts = parts_of(world)
        logins = parts.logins(Client("192.0.2.1", 25))
        with pytest.raises(LoginRefused):
            outcome(world, logins.password("alice", PASSWORD))
        parts.obey(filled(world.settings, {"auth.default_domain": "hub.example"}))
        account = outcome(world, logins.password("alice", PASSWORD))
        assert isinstance(account, Account)
        assert str(account.path) == ALICE


# ---- Wiring --------------------------------------------------------------------------------


class TestParts:
    """Who is given what."""

    def test_what_is_for_others_waits(self, world: World) -> None:
        """Mail of a user's to another domain is the runner's: in the spool until it has gone."""
        parts = parts_of(world)
        peer = world.call(587)
        peer.say("EHLO client.example\r\nAUTH LOGIN\r\n")
        assert "235 2.7.0" in peer.say("YWxpY2VAaHViLmV4YW1wbGU=\r\nY29ycmVjdCBob3JzZQ==\r\n")
        peer.say(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{FAR}>\r\nDATA\r\n")
        heard = peer.say(f"From: {ALICE}\r\nSubject: x\r\n\r\nhello\r\n.\r\n")
        queue_id = heard.partition("queued as ")[2].rstrip()
        item = parts.journal.load(QueueId(queue_id))
        assert item is not None
        assert item.remote
        assert not item.local

    def test_routes(self, world: World) -> None:
        """Mail goes to its domain's exchanges, or where a route of the moment says."""
        relay = {"relay.port": 2525, "relay.tls": TlsDemand.REQUIRED}
        world.hub.settings = filled(world.settings, relay)
        parts = parts_of(world)
        assert parts._route(NULL, FAR) == Exchange("far.example", 2525, TlsDemand.REQUIRED)
        hop = Smarthost("out", "smtp.example", 587)
        parts.obey(replace(world.settings, routes=(Route("out", hop),)))
        assert parts._route(NULL, FAR) == hop

    def test_what_a_crash_left(self, world: World) -> None:
        """What was accepted and not filed is filed by the next start."""
        local = parts_of(world).local
        local._begin_filing = lambda: None  # type: ignore[method-assign]  # as if killed here
        assert "queued as" in deliver(world, "left behind")
        local._filing = False
        world.stop()
        again = World(world.state)
        again.start()
        again.reactor.pump([0.0] * 8)
        imap = again.call(143)
        imap.say()
        heard = imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        assert "* 1 EXISTS" in heard
        again.stop()

    def test_after_the_stop(self, world: World) -> None:
        """Everything is let go of: nothing can be written any more."""
        parts = parts_of(world)
        world.stop()
        with pytest.raises(OSError, match="closed"):
            outcome(world, parts.journal.commit())


# ---- Names of files --------------------------------------------------------------------------


def endings(world: World) -> list[str]:
    """What the names of Alice's messages say of flags."""
    return sorted(path.name.partition(":2,")[2] for path in world.state.glob("mail/**/cur/*"))


def test_names_follow_flags(world: World) -> None:
    """Within a moment; at once when the mailbox is closed; and before the hub has stopped."""
    world.start()
    deliver(world, "one")
    peer = world.call(143)
    peer.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
    assert "c OK" in peer.say("c STORE 1 +FLAGS (\\Flagged)\r\n")
    assert endings(world) == [""]
    world.reactor.advance(world.settings.store.names_after)
    assert endings(world) == ["F"]
    peer.say("d STORE 1 +FLAGS (\\Seen)\r\ne UNSELECT\r\n")
    assert endings(world) == ["FS"]
    peer.say("f SELECT INBOX\r\ng STORE 1 +FLAGS (\\Draft)\r\n")
    assert endings(world) == ["FS"]
    world.stop()
    assert endings(world) == ["DFS"]
