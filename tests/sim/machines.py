"""What the tests of the world share: protocols that talk, a small configuration, a hub."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.python.failure import Failure

from mailhub.config.load import parse
from mailhub.config.settings import Settings
from mailhub.sim.hub import SimHub
from mailhub.sim.network import Host
from mailhub.sim.wire import Link
from mailhub.sim.world import World


class Talker(Protocol):
    """Remembers what it hears, and when."""

    def __init__(self, world: World, first: bytes = b"") -> None:
        self.world = world
        self.first = first
        self.heard: list[tuple[float, bytes]] = []
        self.made = False
        self.lost: Failure | None = None
        self.transport: Any = None

    @property
    def octets(self) -> bytes:
        return b"".join(octets for _, octets in self.heard)

    def connectionMade(self) -> None:
        self.made = True
        if self.first:
            self.transport.write(self.first)

    def dataReceived(self, data: bytes) -> None:
        self.heard.append((round(self.world.age, 6), data))

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost = reason


class Server(ServerFactory):
    """Makes talkers, and keeps them."""

    noisy = False

    def __init__(self, world: World, make: Any = None) -> None:
        self.world = world
        self.make = make or (lambda: Talker(world))
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(self.make())
        return self.made[-1]


class Client(ClientFactory):
    """Makes one talker, and tells what became of the connection."""

    noisy = False

    def __init__(self, talker: Protocol) -> None:
        self.talker = talker
        self.failed: Failure | None = None
        self.lost: Failure | None = None

    def buildProtocol(self, addr: Any) -> Protocol:
        return self.talker

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.failed = reason

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        self.lost = reason


class Pair:
    """Two hosts, one of which listens on port 25."""

    def __init__(self, seed: int = 1, link: Link | None = None) -> None:
        self.world = World(seed)
        self.near = self.world.host("near.example", link=link or Link(0.01))
        self.far = self.world.host("far.example", link=Link(0.02))
        self.server = Server(self.world)
        self.far.reactor.listenTCP(25, self.server)

    def call(self, first: bytes = b"", timeout: float = 30) -> tuple[Talker, Client]:
        talker = Talker(self.world, first)
        factory = Client(talker)
        self.near.reactor.connectTCP(self.far.addresses[0], 25, factory, timeout=timeout)
        return talker, factory

    def joined(self, first: bytes = b"") -> tuple[Talker, Talker]:
        """Both protocols of a connection that stands."""
        talker, _ = self.call(first)
        self.world.run(0.1)
        return talker, self.server.made[-1]


def settings(hostname: str, more: str = "", trusted: str = "127.0.0.1/32") -> Settings:
    """A small configuration: whoever is on the machine may relay, or somebody else."""
    found, mistakes = parse(
        f"""
[hub]
hostname = {hostname}
state = /nowhere
[listen]
submission = 127.0.0.1:587
submissions =
imap = 127.0.0.1:143
imaps =
pop3 = 127.0.0.1:110
pop3s =
[smtp]
trusted networks = {trusted}
[auth]
plaintext on loopback = yes
[tls]
offered = no
{more}
"""
    )
    assert mistakes == []
    return found


def hub(world: World, domain: str, **more: Any) -> SimHub:
    """A hub that takes a domain's mail, with an account ``ann``."""
    host = world.host(f"mx.{domain}", link=Link(0.01, 0.002))
    world.names.mail(domain, host.name)
    accounts = {f"ann@{domain}": "secret"}
    found = settings(host.name, more.pop("text", ""), more.pop("trusted", "127.0.0.1/32"))
    return SimHub(world, host, found, accounts=accounts, **more)


def submit(
    world: World, host: Host, sender: str, *recipients: str, text: str = "hello", wait: float = 5
) -> bytes:
    """Hand a message to the hub of a host, from the machine itself; all it says."""
    lines = ["EHLO here", f"MAIL FROM:<{sender}>"]
    lines += [f"RCPT TO:<{recipient}>" for recipient in recipients]
    talker = Talker(world, "".join(f"{line}\r\n" for line in (*lines, "DATA")).encode())
    host.reactor.connectTCP("127.0.0.1", 25, Client(talker))
    world.run(0.5)
    talker.transport.write(f"Subject: {text}\r\n\r\n{text}\r\n.\r\nQUIT\r\n".encode())
    world.run(wait)
    return talker.octets
