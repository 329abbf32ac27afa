"""POP3 sessions: dialogues, and what dialogues cannot show."""

from __future__ import annotations

import time
from base64 import b64encode
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.pop3.session import Session
from mailhub.pop3.settings import Limits, Site
from mailhub.pop3.transfer import PIECE
from mailhub.ports.accounts import LoginFault
from mailhub.ports.store import StoreFault
from tests.pop3.fakes import MAIL, PASSWORD, TLS, FakeLogins, FakeStore, session
from tests.rig import dialogues, hear, replay, run

LOGIN = f"USER ann@hub.example\r\nPASS {PASSWORD}\r\n".encode()
RETR_TIME = 40e-6
"""Seconds of our own for RETR of 4 KB."""


def say(one: Session, octets: bytes) -> bytes:
    one.feed(octets)
    return run(hear(one.respond()))


def logged_in(store: FakeStore | None = None, limits: Limits | None = None) -> Session:
    one = session(store, limits=limits)
    assert say(one, LOGIN).count(b"+OK") == 2
    return one


async def pieces(one: Session) -> list[bytes]:
    return [octets async for octets in one.respond()]


class TestDialogues:
    """The dialogue files, under three cuts."""

    @pytest.mark.parametrize("path", dialogues("pop3"), ids=lambda path: path.stem)
    def test_dialogue(self, path: Path) -> None:
        """What is said depends on the octets, never on how they arrive."""
        in_the_clear = path.stem.startswith("clear_")
        replay(path, lambda: session(tls=None if in_the_clear else TLS))

    @given(
        st.lists(
            st.sampled_from(
                [b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 3 1\r\n", b"DELE 1\r\n", b"RSET\r\n",
                 b"STAT\r\n", b"LIST\r\n", b"UIDL\r\n", b"UIDL 2\r\n", b"NOOP\n", b"junk\r\n",
                 b"CAPA\r\n"]
            ),
            max_size=10,
        ),
        st.lists(st.integers(0, 120), max_size=6),
    )  # fmt: skip
    def test_cuts(self, commands: list[bytes], places: list[int]) -> None:
        """Any cut of any commands gives the same answers."""
        octets = b"".join(commands)
        marks = [0, *sorted(places), max([len(octets), *places])]
        whole, cut = logged_in(), logged_in()
        heard = b"".join(say(cut, octets[start:end]) for start, end in pairwise(marks))
        assert say(whole, octets) == heard

    def test_pipelining(self) -> None:
        """mpop sends forty commands at once; forty answers come in order (RFC 2449 §6.6)."""
        store = FakeStore([b"Subject: %d\r\n\r\n" % number for number in range(20)])
        one = logged_in(store)
        heard = say(one, b"".join(b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in range(1, 21)))
        assert heard.count(b"+OK") == 40
        assert [heard.find(b"Subject: %d\r" % n) for n in range(20)] == sorted(
            heard.find(b"Subject: %d\r" % n) for n in range(20)
        )


class TestCapabilities:
    """CAPA in each state (RFC 2449 §5)."""

    @staticmethod
    def capabilities(one: Session) -> set[bytes]:
        status, *lines, end, empty = say(one, b"CAPA\r\n").split(b"\r\n")
        assert (status[:3], end, empty) == (b"+OK", b".", b"")
        return set(lines)

    def test_in_the_clear(self) -> None:
        """STLS is offered, and no way to send a password."""
        found = self.capabilities(session(tls=None))
        assert b"STLS" in found
        assert b"USER" not in found
        assert b"SASL SCRAM-SHA-256" in found

    def test_under_tls(self) -> None:
        """STLS is not offered any more, USER and PLAIN are."""
        one = session()
        found = self.capabilities(one)
        assert b"STLS" not in found
        assert {
            b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"USER",
            b"EXPIRE NEVER", b"UTF8 USER", b"LANG", b"SASL SCRAM-SHA-256 PLAIN LOGIN",
        } < found  # fmt: skip
        say(one, LOGIN)
        assert self.capabilities(one) == found

    def test_no_tls(self) -> None:
        """Where there is no certificate STLS is not offered, nor taken."""
        one = session(tls=None, site=Site("hub.example"))
        assert b"STLS" not in self.capabilities(one)
        assert say(one, b"STLS\r\n").startswith(b"-ERR")
        assert not one.wants_tls

    def test_loopback(self) -> None:
        """On this machine passwords may be sent in the clear, if that is allowed."""
        site = Site("hub.example", plaintext_on_loopback=True)
        one = session(tls=None, site=site, address="127.0.0.1")
        assert b"USER" in self.capabilities(one)
        assert say(one, LOGIN).count(b"+OK") == 2


class TestStls:
    """RFC 2595 §4."""

    def test_upgrade(self) -> None:
        """Before the handshake nothing more is read; after it the client is a stranger again."""
        one = session(tls=None)
        assert say(one, b"STLS\r\n").startswith(b"+OK")
        assert one.wants_tls
        one.secured(TLS)
        assert not one.wants_tls
        assert not one.closed
        assert say(one, b"STLS\r\n").startswith(b"-ERR TLS is active")
        assert say(one, LOGIN).count(b"+OK") == 2
        assert say(one, b"STLS\r\n").startswith(b"-ERR")

    def test_injection(self) -> None:
        """What is pipelined behind STLS costs the connection, unanswered."""
        one = session(tls=None)
        assert say(one, b"STLS\r\nUSER ann\r\n") == b""
        assert one.closed
        assert not one.wants_tls

    def test_late_injection(self) -> None:
        """So do octets that arrive before the handshake."""
        one = session(tls=None)
        say(one, b"STLS\r\n")
        one.feed(b"NOOP")
        assert say(one, b"") == b""
        one.secured(TLS)
        assert one.closed

    def test_forgotten(self) -> None:
        """A name given in the clear is forgotten."""
        site = Site("hub.example", tls=True, plaintext_on_loopback=True)
        one = session(tls=None, site=site, address="127.0.0.1")
        say(one, b"USER ann@hub.example\r\nSTLS\r\n")
        one.secured(TLS)
        assert say(one, f"PASS {PASSWORD}\r\n".encode()).startswith(b"-ERR USER")


class TestLogin:
    """The way into the TRANSACTION state."""

    def test_auth(self) -> None:
        """AUTH with an initial response, and with a challenge."""
        message = b64encode(f"\0ann@hub.example\0{PASSWORD}".encode())
        one = session()
        assert say(one, b"AUTH PLAIN " + message + b"\r\n") == b"+OK 3 messages\r\n"
        one = session()
        assert say(one, b"AUTH PLAIN\r\n") == b"+ \r\n"
        assert say(one, message + b"\r\nSTAT\r\n") == b"+OK 3 messages\r\n+OK 3 83\r\n"

    def test_long_response(self) -> None:
        """Responses may be longer than commands (RFC 5034 §4), within a limit."""
        limits = Limits(line=100, auth_line=500)
        one = session(limits=limits)
        assert say(one, b"AUTH PLAIN " + b"A" * 400 + b"\r\n").startswith(b"-ERR Malformed")
        assert say(one, b"USER " + b"A" * 400 + b"\r\n") == b"-ERR Line too long\r\n"
        say(one, b"AUTH PLAIN\r\n")
        assert say(one, b"A" * 400 + b"\r\n").startswith(b"-ERR Malformed")
        say(one, b"AUTH PLAIN\r\n")
        assert say(one, b"A" * 600 + b"\r\nCAPA\r\n").startswith(b"-ERR Line too long\r\n+OK")

    def test_order(self) -> None:
        """PASS follows USER at once, or not at all (RFC 1939 §7)."""
        one = session()
        heard = say(one, b"USER ann@hub.example\r\nAUTH\r\nPASS x\r\n")
        assert heard.endswith(b"-ERR USER must come first\r\n")

    def test_locked(self) -> None:
        """The maildrop is one session's at a time (RFC 1939 §4, RFC 2449 §8.1.2)."""
        store = FakeStore()
        first = logged_in(store)
        second = session(store)
        assert say(second, LOGIN).split(b"\r\n")[1].startswith(b"-ERR [IN-USE]")
        assert say(second, b"STAT\r\n") == b"-ERR Log in first\r\n"
        run(first.close())
        assert say(second, LOGIN).count(b"+OK") == 2

    @pytest.mark.parametrize("fault", [StoreFault.SERVER_BUG, StoreFault.NONEXISTENT])
    def test_store_fault(self, fault: StoreFault) -> None:
        """A store that fails keeps nothing locked."""
        store = FakeStore()
        store.faults.add(fault)
        one = session(store)
        assert b"-ERR [SYS/TEMP]" in say(one, LOGIN)
        assert not store.locked
        store.faults.clear()
        assert say(one, LOGIN).count(b"+OK") == 2

    def test_disk_fault(self) -> None:
        """Nor does a disk that fails."""
        store = FakeStore()
        store.inbox.faults.add("refresh")
        assert b"-ERR [SYS/TEMP]" in say(session(store), LOGIN)
        assert not store.locked
        assert store.inbox.released == 1

    def test_failures(self) -> None:
        """After so many failures the connection closes."""
        one = session(limits=Limits(logins=2))
        for _ in range(2):
            assert not one.closed
            assert b"-ERR [AUTH]" in say(one, b"USER ann\r\nPASS x\r\n")
        assert one.closed

    def test_unavailable(self) -> None:
        """A hub that cannot check says so (RFC 3206 §4)."""
        logins = FakeLogins()
        logins.fault = LoginFault.UNAVAILABLE
        assert b"-ERR [SYS/TEMP]" in say(session(logins=logins), LOGIN)
        assert logins.asked == [("ann@hub.example", PASSWORD)]


class TestMessages:
    """RETR and TOP."""

    def test_small(self) -> None:
        """A small message is one piece, and let go of."""
        store = FakeStore()
        one = logged_in(store)
        one.feed(b"RETR 2\r\n")
        assert run(pieces(one)) == [
            b"+OK 33 octets\r\nSubject: two\r\n\r\n..dots\r\n...\r\n..\r\nend\r\n.\r\n"
        ]
        assert store.inbox.opened[0].closed == 1

    def test_large(self) -> None:
        """A large one comes in pieces of at most 64 KiB, transparency unbroken."""
        body = b"Subject: x\r\n\r\n" + b".\r\n" * 60_000
        store = FakeStore([body])
        one = logged_in(store)
        one.feed(b"RETR 1\r\n")
        heard = run(pieces(one))
        assert max(map(len, heard)) <= 65_536
        assert max(store.inbox.opened[0].reads) <= PIECE
        assert b"".join(heard) == b"+OK %d octets\r\n" % len(body) + (
            b"Subject: x\r\n\r\n" + b"..\r\n" * 60_000 + b".\r\n"
        )
        assert store.inbox.opened[0].closed == 1

    def test_abandoned(self) -> None:
        """A client that goes amid a message leaves nothing open."""
        store = FakeStore([b"x" * 200_000])
        one = logged_in(store)
        one.feed(b"RETR 1\r\n")

        async def listen() -> None:
            async with aclosing(one.respond()) as answers:
                async for _ in answers:
                    break

        run(listen())
        run(one.close())
        assert store.inbox.opened[0].closed == 1
        assert not store.locked

    def test_top_reads_little(self) -> None:
        """TOP reads no more than it sends, whole pieces apart."""
        store = FakeStore([b"Subject: x\r\n\r\n" + b"line\r\n" * 100_000])
        one = logged_in(store)
        assert say(one, b"TOP 1 2\r\n") == b"+OK\r\nSubject: x\r\n\r\nline\r\nline\r\n.\r\n"
        assert len(store.inbox.opened[0].reads) == 1
        far = say(one, b"TOP 1 20000\r\n")
        assert far.count(b"line\r\n") == 20_000
        assert len(store.inbox.opened[1].reads) == 3
        assert say(one, b"TOP 1 99999999\r\n").count(b"line\r\n") == 100_000
        assert all(content.closed == 1 for content in store.inbox.opened)

    def test_broken_at_first(self) -> None:
        """A message that cannot be read at all is refused."""
        store = FakeStore()
        store.inbox.broken = 0
        one = logged_in(store)
        assert say(one, b"RETR 1\r\n").startswith(b"-ERR [SYS/TEMP]")
        assert store.inbox.opened[0].closed == 1
        assert not one.closed

    def test_broken_amid(self) -> None:
        """One that breaks off breaks the connection: no line may seem to be its end."""
        store = FakeStore([b"x" * 200_000])
        store.inbox.broken = PIECE
        one = logged_in(store)
        assert not say(one, b"RETR 1\r\nNOOP\r\n").endswith(b".\r\n")
        assert one.closed
        assert store.inbox.opened[0].closed == 1

    def test_became_shorter(self) -> None:
        """So does one that became shorter while it was sent."""
        store = FakeStore([b"x" * 200_000])
        one = logged_in(store)

        async def listen() -> None:
            one.feed(b"RETR 1\r\n")
            async for _ in one.respond():
                store.inbox.opened[0].octets = b""

        run(listen())
        assert one.closed

    def test_expunged(self) -> None:
        """A message expunged by IMAP is missed; numbers, sizes and the others stay."""
        store = FakeStore()
        one = logged_in(store)
        del store.inbox.mails[171]
        assert say(one, b"RETR 1\r\nLIST 1\r\nSTAT\r\nTOP 1 0\r\n").split(b"\r\n") == [
            b"-ERR The message was removed by another session",
            b"+OK 1 23",
            b"+OK 3 83",
            b"-ERR The message was removed by another session",
            b"",
        ]
        assert say(one, b"RETR 3\r\n").startswith(b"+OK 27")

    def test_speed(self) -> None:
        """RETR of 4 KB costs microseconds."""
        store = FakeStore([b"Subject: x\r\n\r\n" + b"some text, and more of it\r\n" * 150])
        one = logged_in(store)
        best = 1.0
        for _ in range(30):
            one.feed(b"RETR 1\r\n")
            start = time.perf_counter()
            run(hear(one.respond()))
            best = min(best, time.perf_counter() - start)
        assert best < RETR_TIME


class TestEnd:
    """QUIT, and all other ends."""

    def test_quit(self) -> None:
        """QUIT removes what is marked, lets go, and closes (RFC 1939 §6)."""
        store = FakeStore()
        one = logged_in(store)
        assert say(one, b"DELE 1\r\nDELE 3\r\nQUIT\r\nNOOP\r\n").endswith(b"+OK Bye\r\n")
        assert store.inbox.expunged == [171, 2171]
        assert one.closed
        assert not store.locked
        run(one.close())
        assert store.inbox.released == 1

    def test_lost(self) -> None:
        """A connection that is lost removes nothing."""
        store = FakeStore()
        one = logged_in(store)
        say(one, b"DELE 1\r\n")
        run(one.close())
        assert store.inbox.expunged == []
        assert not store.locked

    def test_timed_out(self) -> None:
        """Nor does silence, at which nothing is said (RFC 1939 §3)."""
        one = logged_in()
        assert one.timed_out() == b""
        assert one.patience == 600

    @pytest.mark.parametrize("fault", ["expunge", "stuck"])
    def test_not_removed(self, fault: str) -> None:
        """What could not be removed is told (RFC 1939 §6); the connection closes all the same."""
        store = FakeStore()
        store.inbox.faults.add(fault)
        one = logged_in(store)
        assert b"-ERR [SYS/TEMP] Some deleted" in say(one, b"DELE 1\r\nQUIT\r\n")
        assert one.closed
        assert not store.locked

    def test_before_login(self) -> None:
        """QUIT of a stranger."""
        one = session()
        assert say(one, b"QUIT\r\n") == b"+OK Bye\r\n"
        assert one.closed

    def test_errors(self) -> None:
        """After so many lines that are no commands the connection closes."""
        one = session(limits=Limits(errors=3))
        assert (
            say(one, b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nAccept: x\r\n").count(b"-ERR")
            == 3
        )
        assert one.closed

    def test_going_down(self) -> None:
        """A hub that stops says so."""
        assert logged_in().going_down().startswith(b"-ERR [SYS/TEMP]")

    def test_patience(self) -> None:
        """A new stage begins with each line, not with each octet."""
        one = session()
        stage = one.stage
        say(one, b"CA")
        assert one.stage == stage
        say(one, b"PA\r\n")
        assert one.stage != stage
        one.wake()

    def test_long_lines(self) -> None:
        """Once logged in no line may be long."""
        one = logged_in(limits=Limits(line=50, auth_line=500))
        heard = say(one, b"AUTH " + b"x" * 100 + b"\r\nNOOP " + b"x" * 44 + b"\r\n")
        assert heard == b"-ERR Line too long\r\n" * 2
        assert say(one, b"NOOP " + b"x" * 43 + b"\r\n") == b"+OK\r\n"


def test_snapshot_is_fresh() -> None:
    """What other programs did to the maildir is seen at login, and no later."""
    store = FakeStore()
    logged_in(store)
    assert store.inbox.refreshed == 1
    assert len(MAIL) == 3
