"""The whole hub in memory: real parts on a real directory, ports and time of our own making."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Cost, secret
from mailhub.assembly import Surroundings
from mailhub.config.load import ConfigError, parse
from mailhub.config.settings import Settings
from mailhub.hub import CannotStart, Hub, told
from mailhub.mail.address import parse_address
from tests.rig import InlineDisk

PASSWORD = "correct horse"
CHEAP = Cost(memory=64, passes=1, iterations=4096)
ALICE = "alice@hub.example"


class Threads(InlineDisk):
    """Threads that are none."""

    async def stop(self) -> None:
        return None


def settings(state: FilePath, more: str = "") -> Settings:
    """A small configuration."""
    found, mistakes = parse(
        f"""
[hub]
hostname = hub.example
state = {state}
[listen]
smtp = 127.0.0.1:25
submission = 127.0.0.1:587
submissions =
imap = 127.0.0.1:143
imaps =
pop3 = 127.0.0.1:110
pop3s =
[auth]
plaintext on loopback = yes
[tls]
offered = no
{more}
"""
    )
    assert mistakes == []
    return found


class World:
    """A hub and its surroundings."""

    def __init__(self, state: FilePath) -> None:
        self.state = state
        self.reactor = MemoryReactorClock()
        self.reactor.rightNow = 1_800_000_000.0
        self.peers: list[Peer] = []
        self.settings = settings(state)
        self.hub = Hub(self.settings, self.surroundings(), lambda: self.settings)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            reactor=self.reactor,
            now=self.reactor.seconds,
            entropy=random.Random(1).randbytes,
            chance=random.Random(2),
            boot_id="boot",
            threads=lambda number, name: Threads(),
        )

    def start(self) -> None:
        self.hub.privilegedStartService()
        self.hub.startService()

    def stop(self) -> None:
        stopped = self.hub.stopService()
        for _ in range(100):
            self.reactor.pump([0.1])
            self.hang_up()
        outcome: list[object] = []
        stopped.addBoth(outcome.append)
        assert outcome == [None], "everything ends"

    def hang_up(self) -> None:
        """Close the connections that the hub has closed."""
        for peer in [peer for peer in self.peers if peer.transport.disconnecting]:
            peer.leave()

    def call(self, port: int) -> Peer:
        """A connection to one of the hub's ports."""
        [factory] = [found[1] for found in self.reactor.tcpServers if found[0] == port]
        peer = Peer(self, factory)
        self.peers.append(peer)
        return peer


class Peer:
    """A client at the other end of a string."""

    def __init__(self, world: World, factory: object) -> None:
        address = IPv4Address("TCP", "127.0.0.1", 40000)
        self.world = world
        self.protocol = factory.buildProtocol(address)  # type: ignore[attr-defined]
        self.transport = StringTransport(peerAddress=address)
        self.protocol.makeConnection(self.transport)

    def say(self, text: str = "") -> str:
        """Send, let a moment pass, and return what came."""
        if text:
            self.protocol.dataReceived(text.encode())
        self.world.reactor.pump([0.0, 0.0, 0.0, 0.0])
        heard = self.transport.value().decode()
        self.transport.clear()
        return str(heard)

    def leave(self) -> None:
        self.world.peers.remove(self)
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def world(tmp_path: FilePath) -> Iterator[World]:
    state = tmp_path / "state"
    state.mkdir()
    made = World(state)
    with Accounts(made.settings.hub.accounts) as accounts:
        accounts.add_domain("hub.example")
        kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
        accounts.add_account(parse_address(ALICE), kept)
    yield made
    if made.hub.running:
        made.stop()


def deliver(world: World, text: str) -> str:
    """Send a message in on port 25; all replies."""
    peer = world.call(25)
    heard = peer.say()
    heard += peer.say("EHLO client.example\r\n")
    heard += peer.say("MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@hub.example>\r\nDATA\r\n")
    heard += peer.say(f"Subject: x\r\n\r\n{text}\r\n.\r\n")
    heard += peer.say("QUIT\r\n")
    return heard


class TestJourney:
    """A message from one protocol to the next."""

    def test_smtp_to_imap_and_pop3(self, world: World) -> None:
        """What SMTP takes IMAP and POP3 give, in one process."""
        world.start()
        assert "250 2.0.0 Ok, queued as" in deliver(world, "hello")
        imap = world.call(143)
        imap.say()
        heard = imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        assert "* 1 EXISTS" in heard
        assert "hello\r\n" in imap.say("c FETCH 1 (BODY.PEEK[TEXT])\r\n")
        pop = world.call(110)
        pop.say()
        pop.say(f"USER {ALICE}\r\n")
        assert pop.say(f"PASS {PASSWORD}\r\n").startswith("+OK")
        assert "hello\r\n.\r\n" in pop.say("RETR 1\r\n")

    def test_an_idling_client_hears_at_once(self, world: World) -> None:
        """EXISTS leaves in the turn in which the message is filed: no time passes."""
        world.start()
        imap = world.call(143)
        imap.say()
        imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\nc IDLE\r\n')
        deliver(world, "news")
        assert "* 1 EXISTS\r\n" in imap.say()

    def test_a_stranger_cannot_relay(self, world: World) -> None:
        """Never an open relay."""
        world.start()
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        assert "550 5.7.1" in peer.say("RCPT TO:<x@elsewhere.example>\r\n")

    def test_accounts_are_usable_at_once(self, world: World) -> None:
        """What another process adds to the database is there for the next command."""
        world.start()
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        assert "550 5.1.1" in peer.say("RCPT TO:<bob@hub.example>\r\n")
        with Accounts(world.settings.hub.accounts) as accounts:
            kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
            accounts.add_account(parse_address("bob@hub.example"), kept)
        assert "250 2.1.5" in peer.say("RCPT TO:<bob@hub.example>\r\n")

    def test_mail_outlives_a_stop(self, world: World, tmp_path: FilePath) -> None:
        """A second hub on the same state finds what the first one took."""
        world.start()
        deliver(world, "kept")
        world.stop()
        again = World(world.state)
        again.start()
        imap = again.call(143)
        imap.say()
        assert "* 1 EXISTS" in imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        again.stop()


class TestStop:
    """How it ends."""

    def test_farewells(self, world: World) -> None:
        """Each protocol says farewell in its own words (RFC 5321 §3.8, RFC 3501 §7.1.5)."""
        world.start()
        smtp, imap = world.call(25), world.call(143)
        smtp.say()
        imap.say()
        world.stop()
        assert smtp.say().startswith("421 ")
        assert imap.say().startswith("* BYE ")

    def test_nothing_is_left(self, world: World) -> None:
        """After a stop no call is pending."""
        world.start()
        deliver(world, "x")
        world.stop()
        assert [call for call in world.reactor.getDelayedCalls() if call.active()] == []


class TestStart:
    """What keeps a hub from starting."""

    def test_a_port_that_cannot_be_had(self) -> None:
        """One line says which port, and why."""
        error = CannotListenError("127.0.0.1", 25, OSError(98, "Address already in use"))
        line = told(error)
        assert line == "cannot listen on 127.0.0.1, port 25: [Errno 98] Address already in use"

    def test_a_state_that_cannot_be_used(self, tmp_path: FilePath) -> None:
        """A file where the state directory should be is told, not traced."""
        made = World(tmp_path)
        (tmp_path / "spool").write_bytes(b"")
        made.hub.privilegedStartService()
        with pytest.raises(CannotStart) as caught:
            made.hub.startService()
        assert "spool" in (told(caught.value) or "")

    def test_bugs_are_not_explained_away(self) -> None:
        """An error nobody foresaw keeps its trace."""
        assert told(RuntimeError("x")) is None


class TestReload:
    """SIGHUP."""

    def test_limits_count_for_new_connections(self, world: World) -> None:
        """A new message limit is announced to the next client; one in the middle is let be."""
        world.start()
        before = world.call(25)
        before.say()
        world.settings = settings(world.state, "[smtp]\nmessage limit = 1M\n")
        assert world.hub.reload()
        assert "SIZE 1048576" in world.call(25).say("EHLO client.example\r\n")
        assert "SIZE 52428800" in before.say("EHLO client.example\r\n")

    def test_a_bad_file_changes_nothing(self, world: World) -> None:
        """The old configuration stays in force."""
        world.start()

        def bad() -> Settings:
            raise ConfigError("mailhub.ini", [])

        world.hub._load = bad
        assert not world.hub.reload()
        assert "SIZE 52428800" in world.call(25).say("EHLO client.example\r\n")

    def test_connections_may_be_limited_while_it_runs(self, world: World) -> None:
        """The turnstile obeys at once."""
        world.start()
        first = world.call(25)
        assert first.say().startswith("220")
        world.settings = settings(world.state, "[limits]\nconnections per address = 1\n")
        assert world.hub.reload()
        assert world.call(25).say().startswith("421 ")
