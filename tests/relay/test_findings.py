"""What came of a walk: causes, and who is blamed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from twisted.internet.error import ConnectBindError

from mailhub.policy.cause import Cause
from mailhub.policy.repute import Way
from mailhub.policy.route import TlsDemand
from mailhub.ports.resolver import LookupFailed, Mx
from tests.network import scripted
from tests.relay.sending import (
    SMALL,
    Host,
    envelope,
    told,
)
from tests.relay.walking import ONE, World
from tests.smtp.model import DROP, Model


class TestCauses:
    @pytest.mark.parametrize(
        ("what", "cause"),
        [
            ("refuse", Cause.UNREACHABLE),
            (ConnectBindError(24, "Too many open files"), Cause.LOCAL),
            (scripted("220 mx", None), Cause.UNREACHABLE),
            (scripted("220 mx", "250 mx\n250 mx"), Cause.PROTOCOL),
            (scripted("554 No SMTP service, your IP is blocked"), Cause.BLOCKED),
            (scripted("450 Greylisted"), Cause.GREYLISTED),
            (Host(partial(Model, answers={".": DROP})), Cause.IN_DOUBT),
            (Host(partial(Model, answers={"RCPT": "552 5.2.2 Mailbox full"})), Cause.MAILBOX_FULL),
            (Host(partial(Model, answers={".": "554 5.7.1 Spam"})), Cause.CONTENT),
        ],
    )
    def test_cause(self, world: World, what: Any, cause: Cause) -> None:
        """What stands behind a failure is told, whoever put it into words."""
        world.network.hosts[ONE, 25] = what
        assert world.deliver().causes == (cause,)

    def test_lookup(self, world: World) -> None:
        """So is that nowhere to go was found."""
        world.mx["example.org"] = LookupFailed("SERVFAIL")
        assert world.deliver().causes == (Cause.DNS,)
        world.mx["example.org"] = [Mx(10, "mx.big.example")]
        world.addresses = {}
        assert world.deliver().causes == (Cause.NO_DOMAIN,)

    def test_dead(self, world: World) -> None:
        """A provider that is not reached again and again is not tried by every message."""
        world.network.hosts[ONE, 25] = "refuse"
        for _ in range(5):
            assert told(world.deliver()) == ["451 4.4.1"]
        assert len(world.network.attempts) == 5
        outcome = world.deliver()
        assert told(outcome) == ["451 4.4.1"]
        assert outcome.causes == (Cause.UNREACHABLE,)
        assert outcome.attempts == ()
        assert len(world.network.attempts) == 5
        [gate] = world.traffic.all()
        assert world.traffic.way(gate) is Way.DEAD
        world.network.pass_time(61)
        world.network.hosts[ONE, 25] = Host()
        assert told(world.deliver()) == ["250 2.0.0"]
        assert told(world.deliver()) == ["250 2.0.0"]

    def test_our_own_want(self, world: World) -> None:
        """Where we have no socket left nobody is the less alive for it."""
        world.network.hosts[ONE, 25] = ConnectBindError(24, "Too many open files")
        for _ in range(6):
            assert told(world.deliver()) == ["451 4.3.0"]
        [gate] = world.traffic.all()
        assert world.traffic.way(gate) is Way.DIRECT

    def test_content_not_blamed(self, world: World) -> None:
        """A provider that refuses one message for its content is not slowed down for it."""
        world.answers(**{".": "554 5.7.1 Spam message rejected"})
        world.deliver()
        [gate] = world.traffic.all()
        assert not gate.repute.pace.slowed
        assert gate.repute.cause == "content"
        assert SMALL


class TestWhatIsTold:
    """What an attempt says of itself, to whoever reads the journey."""

    @pytest.mark.parametrize("reply", ["550 5.1.1 No such user", "451 4.7.1 Greylisted"])
    def test_nobody_taken(self, world: World, reply: str) -> None:
        """Where all recipients are refused it is their reply, and not that to DATA behind it."""
        world.answers(RCPT=reply)
        [attempt] = world.deliver().attempts
        assert (attempt.stage, attempt.reply.text) == ("rcpt", reply)

    def test_some_taken(self, world: World) -> None:
        """Where some are taken it is the reply to the content."""
        world.host = Host(partial(Model, answers={"RCPT": ["550 5.1.1 No", "250 Ok"]}))
        world.network.hosts[ONE, 25] = world.host
        [attempt] = world.deliver(envelope("ann", "bob")).attempts
        assert attempt.stage == "done"
        assert attempt.reply.positive

    def test_who_demands(self, world: World) -> None:
        """Whose demand it is that TLS is not to be had for."""
        world.provider["tls"] = TlsDemand.REQUIRED
        [attempt] = world.deliver().attempts
        assert attempt.reply.lines == ("TLS is demanded by the configuration, and not offered",)
