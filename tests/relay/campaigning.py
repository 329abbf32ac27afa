"""A hub that sends newsletters, and a far host that takes them: what comes back, comes by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

from mailhub.policy.suppression import Entry
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Event
from mailhub.queue.journeys import Journeys
from mailhub.queue.suppressions import Suppressions
from mailhub.sim.hub import SimHub
from mailhub.sim.manners import Manners
from mailhub.sim.providers import Providers
from mailhub.sim.receiver import Message, Receiver
from mailhub.sim.wire import Link
from mailhub.sim.world import World
from tests.sim.machines import Client, Talker, settings

LONG = 7 * 86_400.0
ANN = "ann@shop.example"
BOB = "bob@far.example"


class Far(Receiver):
    """Keeps all messages that it took."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.taken: list[Message] = []

    def take(self, message: Message, *, heard: bool) -> float:
        self.taken.append(message)
        return super().take(message, heard=heard)


class Campaigning:
    """The world.

    Args:
        text: Of the shop's configuration.
        manners: Of the far host, in which there are users of all names.
    """

    def __init__(self, text: str = "", *, seed: int = 1, **manners: object) -> None:
        self.world = World(seed)
        far = Manners("far", ("far.example",), ("mx.far.example",), **manners)  # type: ignore[arg-type]
        receiver = Providers(self.world).add(far, Far)
        assert isinstance(receiver, Far)
        self.far = receiver
        host = self.world.host("mx.shop.example", link=Link(0.01, 0.002))
        self.world.names.mail("shop.example", host.name)
        found = settings(host.name, text)
        # Nobody else touches the mailboxes, and nobody searches them.
        quiet = replace(found.store, look=LONG, index_every=LONG)
        found = replace(found, store=quiet)
        self.shop = SimHub(self.world, host, found, accounts={ANN: "secret"})
        self.shop.start()

    def close(self) -> None:
        self.world.close()

    # ---- Mail ------------------------------------------------------------------------------

    def say(self, host: str, sender: str, recipients: tuple[str, ...], content: str) -> list[str]:
        """Hand a message to the shop from a host of the world; the last lines of all replies."""
        lines = ["EHLO there", f"MAIL FROM:<{sender}>"]
        lines += [f"RCPT TO:<{recipient}>" for recipient in recipients]
        talker = Talker(self.world, "".join(f"{line}\r\n" for line in (*lines, "DATA")).encode())
        machine = self.world.hosts[host]
        shop = self.world.hosts["mx.shop.example"]
        address = "127.0.0.1" if machine is shop else shop.addresses[0]
        machine.reactor.connectTCP(address, 25, Client(talker))
        self.world.run(1)
        if b"\r\n354 " in talker.octets:
            body = content.replace("\n", "\r\n").replace("\r\n.", "\r\n..")
            talker.transport.write(f"{body}\r\n.\r\n".encode())
            self.world.run(3)
        talker.transport.write(b"QUIT\r\n")
        self.world.run(1)
        said = talker.octets.decode().splitlines()
        return [line for line in said if line[3:4] == " "][2:-1]

    def newsletter(
        self, *recipients: str, sender: str = ANN, fields: str = "List-Unsubscribe: <x:y>\n"
    ) -> QueueId:
        """One that the shop's own machine hands in: its queue id."""
        content = f"Subject: News\nMessage-ID: <n@shop.example>\n{fields}\nBuy\n"
        *_, last = self.say("mx.shop.example", sender, recipients or (BOB,), content)
        assert "queued as" in last, last
        return QueueId(last.rpartition(" ")[2])

    def letter(self, *recipients: str) -> QueueId:
        """One that is no newsletter."""
        return self.newsletter(*recipients, fields="")

    def comes_back(self, content: str, to: str = "", sender: str = "") -> list[str]:
        """Something comes from the far host to the return path of what it took last."""
        return self.say("mx.far.example", sender, (to or self.far.taken[-1].sender,), content)

    def inbox(self) -> list[str]:
        """The messages in Ann's INBOX."""
        found = FilePath(self.shop.state).glob("mail/shop.example/ann/new/*")
        return [path.read_bytes().decode().replace("\r\n", "\n") for path in sorted(found)]

    # ---- What is known ---------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All that is on the lists, a moment later."""
        self.world.run(3)
        lists = Suppressions(self.shop.state)
        try:
            return lists.page()
        finally:
            lists.close()

    def put(self, entry: Entry) -> None:
        """Put something on a list, as the command line does."""
        lists = Suppressions(self.shop.state)
        lists.put([entry])
        lists.close()

    def journey(self, queue_id: QueueId) -> list[Event]:
        """What happened to a message."""
        self.world.run(3)
        journeys = Journeys(self.shop.state, now=self.world.now)
        try:
            return [event for part in journeys.load(queue_id) for event in part.events]
        finally:
            journeys.close()
