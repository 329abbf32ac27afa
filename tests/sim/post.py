"""A client for tests of receivers: says what it is told, and gives all that it heard."""

from __future__ import annotations

from typing import Any

from mailhub.sim.manners import Manners, Why
from mailhub.sim.network import Host
from mailhub.sim.providers import Providers
from mailhub.sim.receiver import Books, Message, Receiver
from mailhub.sim.world import World
from tests.sim.machines import Client, Talker


class Counted:
    """Books that keep everything."""

    def __init__(self) -> None:
        self.taken: list[tuple[Message, bool]] = []
        self.refusals: list[Why] = []
        self.open: list[int] = []
        self.late: list[str] = []

    def accepted(self, receiver: Receiver, message: Message, now: float, *, heard: bool) -> None:
        self.taken.append((message, heard))

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        self.refusals.append(why)

    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None:
        self.late.append("bounce" if bounced else "complaint")

    def calls(self, receiver: Receiver, open_: int, now: float) -> None:
        self.open.append(open_)


class Post:
    """A world with one provider, and a client of it."""

    def __init__(self, seed: int = 1, **manners: Any) -> None:
        self.world = World(seed)
        self.books = Counted()
        books: Books = self.books
        self.providers = Providers(self.world, books)
        given = {"domains": ("far.example",), "exchanges": ("mx.far.example",), "jitter": 0.0}
        self.receiver = self.providers.add(Manners("Far", **{**given, **manners}))
        self.client = self.world.host("client.example")

    def call(self, host: Host | None = None, port: int = 25) -> Talker:
        talker = Talker(self.world)
        reactor = (host or self.client).reactor
        reactor.connectTCP(self.receiver.hosts[0].addresses[0], port, Client(talker))
        self.world.run(1)
        return talker

    def say(self, talker: Talker, text: str, wait: float = 1) -> list[str]:
        """Say lines, and hear what comes within a while."""
        talker.heard.clear()
        if talker.transport is not None:
            talker.transport.write(text.replace("\n", "\r\n").encode())
        self.world.run(wait)
        return talker.octets.decode().split("\r\n")[:-1]

    def send(self, *recipients: str, talker: Talker | None = None, wait: float = 1) -> list[str]:
        """Send a message; the codes of all replies from MAIL on, "" for a lost connection."""
        talker = talker or self.call()
        heard = self.say(talker, "EHLO client.example\n")
        lines = "".join(f"RCPT TO:<{path}>\n" for path in recipients or ("ann@far.example",))
        heard = self.say(talker, f"MAIL FROM:<sender@here.example>\n{lines}DATA\n", wait)
        if heard and heard[-1].startswith("354"):
            heard += self.say(talker, "Subject: x\n\nhello\n.\n", wait)
        return [line[:3] for line in heard] + ([""] if talker.lost is not None else [])
