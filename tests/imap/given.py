"""What many tests of IMAP begin with: a store with some mail, and a session to talk to."""

from __future__ import annotations

from mailhub.imap.census import Census
from mailhub.imap.session import Session
from mailhub.imap.settings import Limits, Settings
from mailhub.mail.flag import DELETED, SEEN
from mailhub.ports.conversation import Client
from tests.imap.fakes import NOW, FakeLogins, FakeMechanisms, FakeStore, FakeStores
from tests.rig import hear, run

LIMITS = Limits()
PLAIN = (
    b"From: Ann <ann@hub.example>\r\nTo: Bob <bob@hub.example>\r\n"
    b"Subject: A plain letter\r\nDate: Mon, 13 Nov 2023 23:30:00 -0200\r\n"
    b"Message-ID: <1@hub.example>\r\n\r\nHello Bob,\r\nhow are you?\r\n"
)
MULTIPART = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@hub.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
    b"--cut\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6n\r\n"
    b"--cut\r\nContent-Type: text/html\r\n\r\n<p>second</p>\r\n--cut--\r\n"
)
BARE = b"Subject: short\r\n\r\n."


def store() -> FakeStore:
    """INBOX with three messages (the second is seen, the third deleted), Work, Work/Reports."""
    made = FakeStore()
    made.inbox.deliver(PLAIN)
    made.inbox.deliver(MULTIPART, SEEN, NOW - 86400)
    made.inbox.deliver(BARE, DELETED, NOW + 86400)
    for name in ("Work", "Work/Reports", "Entwürfe"):
        run(made.create(name))
    made.boxes["Entwürfe"].special_use = ("\\Drafts",)
    made.subscribed |= {"INBOX", "Work/Reports", "Gone/Away"}
    return made


class Talk:
    """A client's end of one session.

    Attributes:
        woken: How often the session asked to be heard.
    """

    def __init__(
        self,
        mail: FakeStore | None = None,
        *,
        address: str = "127.0.0.1",
        limits: Limits = LIMITS,
        tls: bool = True,
        census: Census | None = None,
    ) -> None:
        self.store = mail or store()
        self.session = Session(
            Client(address, 143),
            Settings("hub.example", limits=limits, tls=tls, now=lambda: float(NOW)),
            FakeMechanisms(),
            FakeLogins(),
            FakeStores(self.store),
            census,
        )
        self.woken = 0
        self.session.wake = self._wake
        self.greeting = run(self.session.greet())

    def _wake(self) -> None:
        self.woken += 1

    def raw(self, octets: bytes) -> bytes:
        """What the session says to these octets."""
        self.session.feed(octets)
        return run(hear(self.session.respond()))

    def say(self, text: str) -> list[str]:
        """The lines of what it says to a line."""
        answer = self.raw(text.encode("utf-8", "surrogateescape") + b"\r\n")
        return answer.decode("utf-8", "replace").split("\r\n")[:-1]

    def heard(self) -> list[str]:
        """The lines of what it says by itself."""
        return self.raw(b"").decode().split("\r\n")[:-1]

    def login(self) -> Talk:
        """Log in."""
        assert self.say("l LOGIN alice secret")[-1].startswith("l OK")
        return self

    def select(self, name: str = "INBOX") -> Talk:
        """Log in and select."""
        self.login()
        assert self.say(f"s SELECT {name}")[-1].startswith("s OK")
        return self
