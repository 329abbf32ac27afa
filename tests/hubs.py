"""The whole hub in memory: real parts on a real directory, ports and time of our own making."""

from __future__ import annotations

import random
from pathlib import Path as FilePath

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Cost, secret
from mailhub.assembly import Parts
from mailhub.config.load import parse
from mailhub.config.settings import Settings
from mailhub.hub import Hub
from mailhub.mail.address import parse_address
from mailhub.surroundings import Surroundings
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

    @property
    def parts(self) -> Parts:
        """Those of the hub, which runs."""
        parts = self.hub.parts
        assert parts is not None
        return parts

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

    def call(self, port: int, transport: type[StringTransport] = StringTransport) -> Peer:
        """A connection to one of the hub's ports."""
        [factory] = [found[1] for found in self.reactor.tcpServers if found[0] == port]
        peer = Peer(self, factory, transport)
        self.peers.append(peer)
        return peer


class Peer:
    """A client at the other end of a string."""

    def __init__(self, world: World, factory: object, transport: type[StringTransport]) -> None:
        address = IPv4Address("TCP", "127.0.0.1", 40000)
        self.world = world
        self.protocol = factory.buildProtocol(address)  # type: ignore[attr-defined]
        self.transport = transport(peerAddress=address)
        self.protocol.makeConnection(self.transport)

    def say(self, text: str = "") -> str:
        """Send, let a moment pass, and return what came."""
        if text:
            self.protocol.dataReceived(text.encode())
        self.world.reactor.pump([0.0, 0.0, 0.0, 0.0])
        heard = self.transport.value().decode()
        self.transport.clear()
        return str(heard)

    def say_on(self, text: str) -> None:
        """Send, let a moment pass, and read nothing."""
        self.protocol.dataReceived(text.encode())
        self.world.reactor.pump([0.0, 0.0, 0.0, 0.0])

    def leave(self) -> None:
        self.world.peers.remove(self)
        self.protocol.connectionLost(Failure(ConnectionDone()))


def populated(state: FilePath) -> World:
    """A hub with Alice's account, not started yet."""
    state.mkdir(exist_ok=True)
    made = World(state)
    with Accounts(made.settings.hub.accounts) as accounts:
        accounts.add_domain("hub.example")
        kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
        accounts.add_account(parse_address(ALICE), kept)
    return made


def deliver(world: World, text: str) -> str:
    """Send a message in on port 25; all replies."""
    peer = world.call(25)
    heard = peer.say()
    heard += peer.say("EHLO client.example\r\n")
    heard += peer.say("MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@hub.example>\r\nDATA\r\n")
    heard += peer.say(f"Subject: x\r\n\r\n{text}\r\n.\r\n")
    heard += peer.say("QUIT\r\n")
    return heard
