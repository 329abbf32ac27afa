"""The session: dialogues, order, legality, limits, TLS, patience."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.imap.command import Command
from mailhub.imap.session import ALLOWED, HANDLERS, Session
from mailhub.imap.settings import Limits
from mailhub.mail.flag import SEEN
from mailhub.ports.accounts import Quota
from mailhub.ports.conversation import Tls
from tests.imap.given import LIMITS, PLAIN, Talk, store
from tests.rig import dialogues, hear, replay, run

TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", lambda _: None)


LIMITED = {"messagelimit": Limits(messages=2), "savelimit": Limits(saved=2)}
"""Dialogues with a server that an operator has limited."""


def make(path: Path) -> Session:
    mail = store()
    if path.stem == "quota":
        mail.quota = Quota(10240, 100)
    return Talk(mail, limits=LIMITED.get(path.stem, LIMITS)).session


@pytest.mark.parametrize("path", dialogues("imap"), ids=lambda path: path.stem)
def test_dialogues(path: Path) -> None:
    """Each recorded dialogue sounds the same however the network cuts it."""
    replay(path, lambda: make(path))


class TestOrder:
    def test_every_command_has_its_place(self) -> None:
        """Each command has a handler, and some phase allows it."""
        allowed: frozenset[type[Command]] = frozenset().union(*ALLOWED.values())
        assert allowed == set(HANDLERS)

    def test_pipelined(self) -> None:
        """Commands of one segment are answered in order, each with its own tag."""
        talk = Talk().select()
        heard = talk.raw(b"".join(b"t%d UID FETCH 1 UID\r\n" % number for number in range(300)))
        tags = [line.split()[0] for line in heard.split(b"\r\n") if b" OK " in line]
        assert tags == [b"t%d" % number for number in range(300)]

    def test_nothing_after_logout(self) -> None:
        """What is pipelined behind LOGOUT is not obeyed."""
        talk = Talk()
        assert b"b " not in talk.raw(b"a LOGOUT\r\nb NOOP\r\n")
        assert talk.session.closed

    def test_bad_commands(self) -> None:
        """So many BAD answers in a row end the connection; one good command in between does not."""
        talk = Talk(limits=Limits(errors=3))
        for line in ("a X", "b X", "c NOOP", "d X", "e X"):
            talk.say(line)
        assert not talk.session.closed
        assert talk.say("f X") == ["f BAD Unknown command", "* BYE Too many bad commands"]
        assert talk.session.closed

    def test_refused_logins(self) -> None:
        """So do failed logins, however many good commands are in between."""
        talk = Talk(limits=Limits(refused_logins=2))
        talk.say("a LOGIN alice wrong")
        talk.say("b NOOP")
        assert talk.say("c LOGIN alice wrong")[-1] == "* BYE Too many failed logins"
        assert talk.session.closed


class TestLiterals:
    def test_too_large_before_it_is_sent(self) -> None:
        """A client that waits hears NO instead of a continuation request."""
        talk = Talk()
        assert talk.say("a LOGIN {33000}") == ["a NO [TOOBIG] A literal may have 32768 octets here"]
        assert talk.say("b NOOP") == ["b OK Nothing done"]

    def test_too_large_and_sent(self) -> None:
        """From one that does not wait it is read, dropped, and answered afterwards."""
        talk = Talk()
        assert talk.say("a LOGIN {33000+}") == []
        assert talk.raw(b"x" * 33000 + b" {3+}\r\nabc") == b""
        assert talk.say("") == ["a NO [TOOBIG] A literal may have 32768 octets here"]

    def test_far_too_large(self) -> None:
        """What would take too long to read ends the connection."""
        talk = Talk(limits=Limits(append=10))
        assert talk.say("a LOGIN {4000000000+}") == ["* BYE [TOOBIG] Literal too large"]
        assert talk.session.closed

    def test_many_literals(self) -> None:
        """A command as a whole is bounded too."""
        talk = Talk(limits=Limits(command=100)).login()
        assert talk.say("a SEARCH {60+}") == []
        assert talk.say("x" * 60 + " {60+}") == []
        assert talk.say("y" * 60) == ["a NO [TOOBIG] A literal may have 65536 octets here"]

    def test_long_line(self) -> None:
        """A line before login is short, after it long; beyond that it is BAD."""
        talk = Talk()
        assert talk.say("a NOOP " + "x" * 33000) == ["a BAD Command line too long"]
        talk.login()
        assert talk.say("b NOOP " + "x" * 33000) == ["b BAD Unexpected argument"]
        assert talk.say("c NOOP " + "x" * 70000) == ["c BAD Command line too long"]


class TestTls:
    def test_start(self) -> None:
        """STARTTLS makes the session want TLS; afterwards all begins anew, PLAIN included."""
        talk = Talk(address="192.0.2.1")
        assert b"LOGINDISABLED" in talk.greeting
        assert b"AUTH=PLAIN" not in talk.greeting
        assert talk.say("a LOGIN alice secret") == ["a NO [PRIVACYREQUIRED] Not without TLS"]
        assert talk.say("b AUTHENTICATE PLAIN") == ["b NO [PRIVACYREQUIRED] Not without TLS"]
        assert talk.say("c STARTTLS") == ["c OK Begin TLS negotiation now"]
        assert talk.session.wants_tls
        talk.session.secured(TLS)
        assert not talk.session.wants_tls
        [capability, _] = talk.say("d CAPABILITY")
        assert "STARTTLS" not in capability
        assert "LOGINDISABLED" not in capability
        assert "AUTH=PLAIN" in capability
        assert talk.say("e STARTTLS") == ["e BAD TLS is active already"]
        talk.login()

    def test_pipelined_behind(self) -> None:
        """Octets behind STARTTLS end the connection: nobody knows whose they are."""
        talk = Talk()
        assert talk.raw(b"a STARTTLS\r\nb NOOP\r\n") == b"* BYE Octets behind STARTTLS\r\n"
        assert talk.session.closed
        assert not talk.session.wants_tls

    def test_not_to_be_had(self) -> None:
        """Without a certificate it is neither offered nor begun."""
        talk = Talk(tls=False)
        assert b"STARTTLS" not in talk.greeting
        assert talk.say("a STARTTLS") == ["a NO [UNAVAILABLE] There is no certificate here"]


class TestPatience:
    def test_stages(self) -> None:
        """The login has one budget, IDLE another, and each silence after login a third."""
        limits = Limits()
        talk = Talk()
        assert (talk.session.patience, talk.session.stage) == (limits.login_patience, "login")
        talk.login()
        assert (talk.session.patience, talk.session.stage) == (limits.patience, None)
        assert limits.patience >= 1800
        talk.say("a IDLE")
        stage = talk.session.stage
        assert talk.session.patience == limits.idle_patience
        assert stage is not None
        talk.raw(b"DO")
        assert talk.session.stage is stage
        talk.raw(b"NE\r\n")
        assert talk.session.stage is None

    def test_farewells(self) -> None:
        """Silence and shutdown end in BYE."""
        session = Talk().session
        assert session.timed_out().startswith(b"* BYE ")
        assert session.going_down().startswith(b"* BYE ")

    def test_close(self) -> None:
        """Closing gives the mailbox back and aborts an upload, at any moment."""
        talk = Talk().select()
        talk.raw(b"a APPEND INBOX {10}\r\nhello")
        run(talk.session.close())
        assert talk.store.uploads[0].aborted
        assert talk.store.inbox.released == 1
        talk.store.inbox.deliver(PLAIN)

    def test_wake_without_driver(self) -> None:
        """A session that no driver has taken up may be woken."""
        talk = Talk(store())
        session = make(Path("x"))
        session.wake()
        assert talk.woken == 0


class TestNews:
    def test_at_the_next_command(self) -> None:
        """Outside IDLE news wait for the end of the next command, and wake nobody."""
        talk = Talk().select()
        talk.store.inbox.deliver(PLAIN)
        assert talk.woken == 0
        assert talk.say("a NOOP") == ["* 4 EXISTS", "* 4 RECENT", "a OK Nothing done"]

    def test_idle(self) -> None:
        """Amid IDLE the session wakes its driver at each change."""
        talk = Talk().select()
        talk.say("a IDLE")
        talk.store.inbox.deliver(PLAIN)
        assert talk.woken == 1
        assert talk.heard() == ["* 4 EXISTS", "* 4 RECENT"]
        assert talk.heard() == []

    def test_no_expunge_amid_fetch(self) -> None:
        """EXPUNGE is held back by FETCH, STORE and SEARCH, not by their UID forms."""
        mail = store()
        one, two = Talk(mail).select(), Talk(mail).select()
        for quiet in ("FETCH 1 UID", "STORE 1 +FLAGS.SILENT ()", "SEARCH ALL"):
            one.say("x EXPUNGE")
            assert not any("EXPUNGE" in line for line in two.say(f"a {quiet}"))
        assert "* 3 EXPUNGE" in two.say("b UID FETCH 1 UID")

    def test_bad_tells_nothing(self) -> None:
        """A command we do not understand may have been any: nothing is told with its BAD."""
        mail = store()
        one, two = Talk(mail).select(), Talk(mail).select()
        one.say("x EXPUNGE")
        assert two.say("a XYZZY") == ["a BAD Unknown command"]

    def test_lost(self) -> None:
        """A client whose picture cannot be corrected is told so, and goes."""
        talk = Talk().select()
        talk.store.inbox.memory = 0
        talk.store.inbox.deliver(PLAIN, SEEN)
        heard = talk.say("a NOOP")
        assert heard == ["* BYE [UNAVAILABLE] The mailbox has changed too much"]
        assert talk.session.closed


ALPHABET = st.sampled_from([
    b"a ", b"b ", b"\r\n", b"\n", b"\r", b"LOGIN alice secret", b"SELECT INBOX", b"FETCH ", b"1:*",
    b"(", b")", b"UID ", b"FLAGS", b"BODY[", b"]", b"{3}", b"{3+}", b"{0+}", b"abc", b'"', b"\\",
    b"SEARCH ", b"NOT ", b"OR ", b"STORE ", b"+FLAGS ", b"APPEND INBOX ", b"IDLE", b"DONE", b"*",
    b"LIST ", b'""', b"%", b"AUTHENTICATE PLAIN", b"=", b"\x00", b"\xff", b"<1.2>", b"1", b"0",
    b"COPY ", b"MOVE ", b"EXPUNGE", b"CREATE ", b"x", b"CLOSE", b"NOOP", b"+",
])  # fmt: skip


class TestHostile:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.one_of(ALPHABET, st.binary(max_size=6)), max_size=60))
    def test_random(self, words: list[bytes]) -> None:
        """Random octets never raise, before login and after."""
        for talk in (Talk(), Talk().select()):
            talk.raw(b"".join(words))
            run(talk.session.close())

    @settings(max_examples=100, deadline=None)
    @given(st.lists(ALPHABET, max_size=40), st.data())
    def test_cuts(self, words: list[bytes], data: st.DataObject) -> None:
        """What is answered does not depend on how the octets were cut."""
        octets = b"a LOGIN alice secret\r\nb SELECT INBOX\r\n" + b"".join(words)
        whole = Talk().raw(octets)
        place = data.draw(st.integers(0, len(octets)))
        other = Talk()
        assert other.raw(octets[:place]) + other.raw(octets[place:]) == whole

    def test_pieces(self) -> None:
        """No piece that is yielded is larger than the driver allows."""
        mail = store()
        mail.inbox.deliver(b"Subject: x\r\n\r\n" + b"y" * 300_000)
        for _ in range(3000):
            mail.inbox.deliver(PLAIN)
        talk = Talk(mail).select()

        async def largest() -> int:
            talk.session.feed(b"a FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])\r\n")
            return max([len(piece) async for piece in talk.session.respond()])

        assert run(largest()) <= 65536 + 1024


def test_hear_is_all() -> None:
    """An idle session has nothing to say."""
    assert run(hear(Talk().session.respond())) == b""
