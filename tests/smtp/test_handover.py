"""Messages handed on to a model of a server: each recipient's fate, whatever the server does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import Path
from mailhub.mail.envelope import Body, Envelope, Notify, Recipient, Return
from mailhub.smtp.client import ClientSession
from mailhub.smtp.handover import CLIENT_LIMITS, ClientLimits
from mailhub.smtp.job import Handover, Job
from mailhub.smtp.transfer import PIECE
from mailhub.smtp.wire import Incomprehensible, Unreadable
from tests.rig import run
from tests.smtp.model import DROP, EVERYTHING, SILENCE, FakeWire, Message, Model, Octets, Unknowing

SMALL = b"Subject: hello\r\n\r\nHello.\r\n"
BOB = Path("bob", "example.com")


def envelope(*names: str, **options: Any) -> Envelope:
    recipients = tuple(Recipient(Path(name, "example.org")) for name in names or ("ann",))
    return Envelope(BOB, recipients, **options)


def opened(
    server: Model, *, cut: int = 0, limits: ClientLimits = CLIENT_LIMITS
) -> tuple[ClientSession, FakeWire]:
    wire = FakeWire(server, cut)
    wire.session = ClientSession(wire, "hub.example", limits=limits)
    run(wire.session.open())
    return wire.session, wire


def deliver(
    server: Model,
    what: Envelope | None = None,
    octets: bytes = SMALL,
    **options: Any,
) -> Handover:
    session, _ = opened(server, **options)
    return run(session.deliver(what or envelope(), Octets(octets)))


def codes(handover: Handover) -> list[int | None]:
    return [reply.code if reply is not None else None for reply in handover.replies]


class TestTransactions:
    @pytest.mark.parametrize("extensions", [EVERYTHING, ("8BITMIME",)])
    @pytest.mark.parametrize("cut", [0, 1, 7])
    def test_accepted(self, extensions: tuple[str, ...], cut: int) -> None:
        """A message arrives as it is, with and without pipelining, however replies are cut."""
        server = Model(extensions)
        handover = deliver(server, envelope("ann", "bea"), cut=cut)
        assert codes(handover) == [250, 250]
        [message] = server.taken
        assert message.content == SMALL
        assert [it.split()[1] for it in message.recipients] == [
            "TO:<ann@example.org>",
            "TO:<bea@example.org>",
        ]

    def test_one_write(self) -> None:
        """With PIPELINING the whole envelope and DATA leave in one piece (RFC 2920 §3.1)."""
        server = Model()
        session, wire = opened(server)
        writes: list[bytes] = []

        def send(octets: bytes) -> None:
            writes.append(octets)
            server.receive(octets)

        wire.send = send  # type: ignore[method-assign]
        run(session.deliver(envelope("ann", "bea"), Octets(SMALL)))
        assert [write.count(b"\r\n") for write in writes[:1]] == [4]
        assert len(writes) == 2

    def test_no_pipelining(self) -> None:
        """Without it each command waits for the reply to the one before."""
        server = Model(("8BITMIME",))
        session, wire = opened(server)

        def send(octets: bytes) -> None:
            assert not server.out, "sent before the reply was read"
            server.receive(octets)

        wire.send = send  # type: ignore[method-assign]
        assert codes(run(session.deliver(envelope("ann", "bea"), Octets(SMALL)))) == [250, 250]

    def test_partly(self) -> None:
        """Recipients are refused each for themselves; the rest get the message."""
        server = Model(answers={"RCPT": ["250 Ok", "550 5.1.1 Who?", "450 4.2.0 Later"]})
        handover = deliver(server, envelope("ann", "bea", "cid"))
        assert codes(handover) == [250, 550, 450]
        assert handover.accepted.keys() == {0}
        assert len(server.taken) == 1

    @pytest.mark.parametrize("extensions", [EVERYTHING, ()])
    def test_all_refused(self, extensions: tuple[str, ...]) -> None:
        """No content follows where nobody wants it; the next message begins with RSET."""
        server = Model(extensions, answers={"RCPT": ["550 5.1.1 Who?", "550 No", "250 Ok"]})
        session, _ = opened(server)
        assert codes(run(session.deliver(envelope("ann", "bea"), Octets(SMALL)))) == [550, 550]
        assert not server.taken
        assert codes(run(session.deliver(envelope(), Octets(SMALL)))) == [250]
        assert server.commands.count("RSET") == 1
        assert len(server.taken) == 1

    def test_content_all_the_same(self) -> None:
        """A server that wants content for nobody gets none (RFC 2920 §3.1)."""
        server = Model(answers={"RCPT": "550 Who?", "DATA": "354 Go", ".": "554 5.5.1 None"})
        session, wire = opened(server)
        handover = run(session.deliver(envelope(), Octets(SMALL)))
        assert codes(handover) == [550]
        assert wire.sent.endswith(b"DATA\r\n.\r\n")
        assert b"RSET" not in wire.sent

    @pytest.mark.parametrize("extensions", [EVERYTHING, ()])
    def test_mail_refused(self, extensions: tuple[str, ...]) -> None:
        """The reply to MAIL is everybody's, whatever RCPT was answered with."""
        server = Model(extensions, answers={"MAIL": ["552 5.3.4 Too big", "250 Ok"]})
        session, _ = opened(server)
        handover = run(session.deliver(envelope("ann", "bea"), Octets(SMALL)))
        assert codes(handover) == [552, 552]
        assert codes(run(session.deliver(envelope(), Octets(SMALL)))) == [250]

    def test_data_refused(self) -> None:
        """So is the reply to DATA, for those who were accepted."""
        server = Model(answers={"RCPT": ["250 Ok", "550 Who?"], "DATA": "451 4.3.0 Not now"})
        handover = deliver(server, envelope("ann", "bea"))
        assert codes(handover) == [451, 550]
        assert handover.fault is None

    def test_content_refused(self) -> None:
        """And the reply to the content."""
        server = Model(answers={".": "554 5.7.1 Spam"})
        handover = deliver(server, envelope("ann", "bea"))
        assert codes(handover) == [554, 554]
        assert handover.final is not None

    def test_parameters(self) -> None:
        """What the envelope asks for is passed on."""
        server = Model()
        what = Envelope(
            BOB,
            (Recipient(Path("ann", "example.org"), Notify.FAILURE, "rfc822;ann@example.org"),),
            Body.EIGHT_BIT,
            Return.HEADERS,
            "id1",
        )
        deliver(server, what, "Subject: x\r\n\r\n\u00e9\r\n".encode())
        [message] = server.taken
        assert message.mail == (
            "MAIL FROM:<bob@example.com> SIZE=18 BODY=8BITMIME RET=HDRS ENVID=id1"
        )
        assert message.recipients == [
            "RCPT TO:<ann@example.org> NOTIFY=FAILURE ORCPT=rfc822;ann@example.org"
        ]


class TestBatches:
    def test_limits(self) -> None:
        """More recipients than LIMITS allows go in several transactions (RFC 9422 §4.2)."""
        server = Model((*EVERYTHING, "LIMITS RCPTMAX=2"))
        handover = deliver(server, envelope("a", "b", "c", "d", "e"))
        assert codes(handover) == [250] * 5
        assert [len(message.recipients) for message in server.taken] == [2, 2, 1]

    def test_ours(self) -> None:
        """Without LIMITS, our own limit is what every server must take."""
        server = Model()
        deliver(server, envelope("a", "b", "c"), limits=ClientLimits(recipients=2))
        assert [len(message.recipients) for message in server.taken] == [2, 1]

    @pytest.mark.parametrize("reply", ["452 4.5.3 Too many", "452 Too many", "552 Too many"])
    def test_too_many(self, reply: str) -> None:
        """Recipients beyond the server's secret limit follow at once (RFC 5321 §4.5.3.1.10)."""
        server = Model(answers={"RCPT": ["250 Ok", "250 Ok", reply, "250 Ok"]})
        handover = deliver(server, envelope("a", "b", "c"))
        assert codes(handover) == [250] * 3
        assert [len(message.recipients) for message in server.taken] == [2, 1]

    def test_too_many_for_one(self) -> None:
        """The first of a transaction cannot be one too many: its 452 is final for now."""
        server = Model(answers={"RCPT": "452 4.5.3 Too many"})
        assert codes(deliver(server, envelope("a", "b"))) == [452, 452]

    def test_full(self) -> None:
        """A full mailbox is not a transaction that is full."""
        server = Model(answers={"RCPT": ["250 Ok", "452 4.2.2 Full"]})
        assert codes(deliver(server, envelope("a", "b"))) == [250, 452]

    def test_our_messages(self) -> None:
        """Our own limit of messages on a connection counts every transaction."""
        server = Model()
        limits = ClientLimits(recipients=1, messages=2)
        handover = deliver(server, envelope("a", "b", "c"), limits=limits)
        assert codes(handover) == [250, 250, None]
        assert len(server.taken) == 2

    def test_not_now(self) -> None:
        """A transaction that may not begin leaves its recipients open, and nothing is said."""
        server = Model()
        session, _ = opened(server, limits=ClientLimits(recipients=1))
        asked = iter([True, True, False])
        what = envelope("a", "b", "c")
        handover = run(session.deliver(what, Octets(SMALL), lambda: next(asked)))
        assert codes(handover) == [250, 250, None]
        assert handover.fault is None
        assert len(server.taken) == 2

    def test_messages(self) -> None:
        """A server that wants one message for each connection leaves the rest open."""
        server = Model((*EVERYTHING, "LIMITS MAILMAX=1 RCPTMAX=1"))
        session, _ = opened(server)
        handover = run(session.deliver(envelope("a", "b"), Octets(SMALL)))
        assert codes(handover) == [250, None]
        assert handover.fault is None
        assert session.exhausted


class TestOurRefusals:
    def test_whole(self) -> None:
        """What the server cannot take is not sent, and the reply is marked as ours."""
        server = Model(("PIPELINING",))
        handover = deliver(server, octets="a: \u00e9\r\n\r\n".encode())
        assert codes(handover) == [554]
        assert handover.ours == {0}
        assert not any(command.startswith("MAIL") for command in server.commands)

    def test_late(self) -> None:
        """8-bit content is found wherever it is."""
        octets = b"a" * PIECE * 2 + b"\xff"
        assert codes(deliver(Model(()), octets=octets)) == [554]
        server = Model(("8BITMIME",))
        assert codes(deliver(server, octets=octets)) == [250]
        assert "BODY=8BITMIME" in server.taken[0].mail

    def test_one(self) -> None:
        """A recipient that needs SMTPUTF8 is refused alone."""
        server = Model(("PIPELINING",))
        handover = deliver(server, envelope("ann", "\u00e9va"))
        assert codes(handover) == [250, 553]
        assert handover.ours == {1}


class TestContent:
    def test_pieces(self) -> None:
        """Large content is read and sent piece by piece, and arrives whole."""
        octets = b"".join(b".%d\r\n" % number for number in range(30_000))
        assert len(octets) > 3 * PIECE
        server = Model(("PIPELINING",))
        assert codes(deliver(server, octets=octets)) == [250]
        assert server.taken[0].content == octets

    @given(st.text("a.\r\n", max_size=40), st.sampled_from([EVERYTHING, ()]))
    def test_any(self, text: str, extensions: tuple[str, ...]) -> None:
        """Any content arrives, its line ends mended, and nothing of it is executed."""
        server = Model(extensions)
        octets = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
        assert codes(deliver(server, octets=octets)) == [250]
        wanted = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
        assert server.taken[0].content == wanted
        assert server.commands[-1] == "DATA"

    def test_empty(self) -> None:
        """Content may be empty."""
        server = Model()
        assert codes(deliver(server, octets=b"")) == [250]
        assert server.taken[0].content == b""

    @pytest.mark.parametrize("chunk", [3, PIECE, PIECE + 1, 10 * PIECE])
    @pytest.mark.parametrize("extensions", [EVERYTHING, EVERYTHING[1:]])
    def test_bdat(self, chunk: int, extensions: tuple[str, ...]) -> None:
        """Binary content goes by BDAT, octet for octet, in chunks of any size."""
        size = 20 if chunk == 3 else 2 * PIECE + 5
        octets = bytes(range(256)) * (size // 256 + 1)
        server = Model(extensions)
        what = envelope(body=Body.BINARY)
        handover = deliver(server, what, octets, limits=ClientLimits(chunk=chunk))
        assert codes(handover) == [250]
        assert server.taken[0].content == octets
        assert "DATA" not in server.commands

    def test_large(self) -> None:
        """Large text goes by BDAT where that is announced, and by DATA elsewhere."""
        octets = b"a" * 70 + b"\r\n"
        for extensions, verb in ((EVERYTHING, "BDAT 72 LAST"), (("PIPELINING",), "DATA")):
            server = Model(extensions)
            assert codes(deliver(server, octets=octets, limits=ClientLimits(bdat=50))) == [250]
            assert server.commands[-1] == verb

    def test_chunk_refused(self) -> None:
        """After a refused chunk nothing more is sent, and RSET comes next (RFC 3030 §2)."""
        server = Model(answers={"BDAT": ["", "250 Ok", "", "552 5.3.4 Too big", ""]})
        server.answers = {**server.answers}
        turns = iter(["250 Ok", "552 5.3.4 Too big"])
        server.answers = {"BDAT": lambda line: "" if line else next(turns, "503 RSET first")}
        session, _ = opened(server, limits=ClientLimits(bdat=5, chunk=10, ahead=1))
        handover = run(session.deliver(envelope(), Octets(b"a" * 100)))
        assert codes(handover) == [552]
        assert sum(it.startswith("BDAT") for it in server.commands) < 6
        server.answers = {}
        assert codes(run(session.deliver(envelope(), Octets(b"a" * 100)))) == [250]
        assert "RSET" in server.commands

    def test_last_chunk_refused(self) -> None:
        """The refusal of a chunk counts, not the complaints about those behind it."""
        turns = iter(["250 Ok", "552 5.3.4 Too big", "503 RSET first"])
        server = Model(answers={"BDAT": lambda line: "" if line else next(turns)})
        handover = deliver(server, octets=b"a" * 30, limits=ClientLimits(bdat=5, chunk=10, ahead=5))
        assert codes(handover) == [552]

    def test_unreadable(self) -> None:
        """Content that ends too early is never ended for the server."""
        for chunked in (ClientLimits(), ClientLimits(bdat=5)):
            server = Model()
            session, wire = opened(server, limits=chunked)
            octets = b"\xff" * PIECE * 3
            handover = run(session.deliver(envelope(), Octets(octets, short=PIECE)))
            assert isinstance(handover.fault, Unreadable)
            assert codes(handover) == [None]
            assert not server.taken
            assert not wire.sent.endswith(b".\r\n")

    def test_disk_error(self) -> None:
        """An I/O error of ours is told as ours."""

        class Failing(Octets):
            async def read(self, offset: int = 0, length: int | None = None) -> bytes:
                raise OSError(5, "Input/output error")

        session, _ = opened(Model())
        handover = run(session.deliver(envelope(), Failing(SMALL)))
        assert handover.fault is not None
        assert handover.fault.reply.text == (
            "451 4.3.0 Cannot read the content: Input/output error"
        )


class TestBrokenConnections:
    @pytest.mark.parametrize("extensions", [EVERYTHING, ()])
    @pytest.mark.parametrize("how", [DROP, SILENCE, "421 4.3.2 Bye", "gibberish"])
    @pytest.mark.parametrize(
        ("verb", "stage"),
        [("MAIL", "mail"), ("RCPT", "rcpt"), ("DATA", "data"), (".", "content")],
    )
    def test_stages(self, extensions: tuple[str, ...], how: str, verb: str, stage: str) -> None:
        """At whatever stage a connection breaks: no reply, and in doubt only behind the content."""
        server = Model(extensions, answers={verb: how})
        handover = deliver(server, envelope("ann", "bea"))
        fault = handover.fault
        assert fault is not None
        assert codes(handover) == [None, None]
        assert fault.stage == stage
        assert fault.in_doubt == (verb == "." and not how.startswith("421"))
        assert fault.heard == how.startswith("421")
        assert not server.taken

    def test_what_was_said(self) -> None:
        """Replies that came before the connection broke are kept."""
        server = Model(answers={"RCPT": ["250 Ok", "550 5.1.1 Who?", "421 Bye"]})
        handover = deliver(server, envelope("ann", "bea", "cid"))
        assert codes(handover) == [None, 550, None]

    def test_mail_refused_and_gone(self) -> None:
        """A refused MAIL settles all, even if the server hangs up behind it."""
        server = Model(answers={"MAIL": "550 5.7.1 Blocked", "RCPT": DROP})
        handover = deliver(server, envelope("ann", "bea"))
        assert codes(handover) == [550, 550]
        assert handover.fault is not None

    @pytest.mark.parametrize("limits", [ClientLimits(), ClientLimits(bdat=5)])
    def test_early_refusal(self, limits: ClientLimits) -> None:
        """A server that refuses amid the content and hangs up has refused it."""
        server = Model(EVERYTHING)
        session, wire = opened(server, limits=limits)
        drained = wire.drained

        async def hang_up() -> None:
            server.out, server.closed = b"552 5.3.4 Too big\r\n", True
            await drained()

        wire.drained = hang_up  # type: ignore[method-assign]
        handover = run(session.deliver(envelope(), Octets(b"a" * PIECE * 3)))
        assert codes(handover) == [552]
        assert handover.fault is not None
        assert not handover.fault.in_doubt

    def test_lost_amid_content(self) -> None:
        """A connection lost amid the content leaves no doubt: the end was not sent."""
        server = Model(("PIPELINING",))
        session, wire = opened(server)

        async def hang_up() -> None:
            raise ConnectionError

        wire.drained = hang_up  # type: ignore[method-assign]
        handover = run(session.deliver(envelope(), Octets(b"a" * PIECE * 3)))
        assert codes(handover) == [None]
        assert handover.fault is not None
        assert not handover.fault.in_doubt
        assert "amid the content" in handover.fault.reply.text

    def test_chunk_in_doubt(self) -> None:
        """A connection lost behind the last chunk leaves the message in doubt."""
        server = Model(answers={"BDAT": lambda line: "" if line else DROP})
        handover = deliver(server, limits=ClientLimits(bdat=5))
        assert handover.fault is not None
        assert handover.fault.in_doubt

    def test_nonsense(self) -> None:
        """A reply that cannot be one to the content, or to DATA, is not taken for one."""
        for verb, how in ((".", "354 More"), ("DATA", "250 Ok")):
            handover = deliver(Model(answers={verb: how}))
            assert codes(handover) == [None]
            assert handover.fault is not None
            assert "Unexpected reply" in handover.fault.reply.text
            assert handover.fault.in_doubt == (verb == ".")

    @pytest.mark.parametrize("extensions", [EVERYTHING, ()])
    def test_out_of_step(self, extensions: tuple[str, ...]) -> None:
        """Where a reply belongs to another command nothing is believed, and nothing more is said.

        A server that waits for content would take the next commands for it.
        """
        answers: dict[str, Any] = {"RCPT": ["550 5.1.1 Who?", "354 Go"], "DATA": "250 Ok"}
        session, wire = opened(Model(extensions, answers=answers))
        handover = run(session.deliver(envelope("ann", "bea"), Octets(SMALL)))
        assert codes(handover) == [None, None]
        assert handover.fault is not None
        assert handover.fault.together == bool(extensions)
        assert wire.sent.endswith(b"DATA\r\n" if extensions else b"RCPT TO:<bea@example.org>\r\n")

    def test_names_of_others(self) -> None:
        """A refusal that names another recipient than the one asked for is no reply to it."""
        answers: dict[str, Any] = {"RCPT": ["550 5.1.1 <bea@example.org>: who?", "250 Ok"]}
        handover = deliver(Model(answers=answers), envelope("ann", "bea"))
        assert codes(handover) == [None, None]
        assert handover.fault is not None
        assert handover.fault.together
        one_by_one = deliver(Model((), answers=answers), envelope("ann", "bea"))
        assert codes(one_by_one) == [550, 250], "there can be no doubt whose it is"

    @pytest.mark.parametrize("extensions", [EVERYTHING, ()])
    @pytest.mark.parametrize(("verb", "lost"), [("RCPT", True), (".", False)])
    def test_silence_among_several(
        self, extensions: tuple[str, ...], verb: str, lost: bool
    ) -> None:
        """Silence behind several commands may be for their number; behind content it is not."""
        handover = deliver(Model(extensions, answers={verb: SILENCE}))
        assert handover.fault is not None
        assert handover.fault.together == (lost and bool(extensions))

    def test_one_at_a_time(self) -> None:
        """A server may be spared what it announces."""
        wire = FakeWire(Model(), 0)
        wire.session = ClientSession(wire, "hub.example", together=False)
        run(wire.session.open())
        assert not wire.session.features.pipelining
        assert wire.session.features.chunking

    def test_reset_refused(self) -> None:
        """A server that refuses RSET is of no further use."""
        server = Model(answers={"RCPT": "550 Who?", "RSET": "500 What?"})
        session, _ = opened(server)
        run(session.deliver(envelope(), Octets(SMALL)))
        handover = run(session.deliver(envelope(), Octets(SMALL)))
        assert codes(handover) == [None]
        assert handover.fault is not None

    def test_farewell(self) -> None:
        """A 421 that came while the connection was idle is not an answer to MAIL."""
        server = Model()
        session, wire = opened(server)
        session.feed(b"421 4.4.2 Idle\r\n")
        handover = run(session.deliver(envelope(), Octets(SMALL)))
        assert codes(handover) == [None]
        assert handover.fault is not None
        assert handover.fault.heard
        assert b"MAIL" not in wire.sent


class Wire(FakeWire):
    """Remembers what was sent in one piece."""

    def __init__(self, server: Model) -> None:
        super().__init__(server)
        self.writes: list[bytes] = []

    def send(self, octets: bytes) -> None:
        self.writes.append(octets)
        super().send(octets)


def _said(good: bool) -> str:
    return "250 2.0.0 Ok" if good else "451 4.3.0 No"


@dataclass
class Judge(Model):
    """Judges content one by one; after refused chunks it waits for RSET, as it should."""

    verdicts: list[str] = field(default_factory=list)

    def _end(self, verb: str, last: bool) -> None:
        said = self.verdicts.pop(0) if self.verdicts else "250 2.0.0 Ok"
        if last and said.startswith("2"):
            self.taken.append(Message(self.mail, self.recipients, self.content))
        if last:
            self.content = b""
        if last and (verb == "." or said.startswith("2")):
            self.mail, self.recipients = "", []
        self.say(said)


class TestAhead:
    """A message that follows another on the same connection."""

    def session(self, server: Model, **options: Any) -> tuple[ClientSession, Wire]:
        wire = Wire(server)
        wire.session = ClientSession(wire, "hub.example", **options)
        run(wire.session.open())
        wire.writes.clear()
        return wire.session, wire

    def both(self, server: Model, *names: str, **options: Any) -> tuple[list[Any], Wire]:
        """Two messages, the second announced while the first is under way."""
        session, wire = self.session(server, **options)
        first = run(session.prepare(envelope(*(names or ("ann",))), Octets(SMALL)))
        second = run(session.prepare(envelope("zoe"), Octets(b"Subject: two\r\n\r\n2\r\n")))
        session.follow(second)
        return [run(session.hand_over(first)), run(session.hand_over(second))], wire

    @pytest.mark.parametrize("extensions", [("PIPELINING",), EVERYTHING])
    def test_announced(self, extensions: tuple[str, ...]) -> None:
        """Its envelope leaves before the reply to the content before it (RFC 2920 §3.1)."""
        server = Model(extensions)
        session, wire = self.session(server)
        first = run(session.prepare(envelope(), Octets(SMALL)))
        second = run(session.prepare(envelope("zoe"), Octets(SMALL)))
        session.follow(second)
        handover = run(session.hand_over(first))
        assert codes(handover) == [250]
        assert session.announced
        assert wire.server.commands[-1] == "DATA"
        before = len(wire.writes)
        assert codes(run(session.hand_over(second))) == [250]
        assert len(wire.writes) == before + 1, "only the content was left to be sent"
        assert not session.announced
        assert len(server.taken) == 2

    def test_not_now(self) -> None:
        """One that may not begin yet is not announced, and asks again when its turn has come."""
        server = Model()
        session, _ = self.session(server)
        first = run(session.prepare(envelope(), Octets(SMALL)))
        asked = iter([False, True])
        second = run(session.prepare(envelope("zoe"), Octets(SMALL), lambda: next(asked)))
        session.follow(second)
        assert codes(run(session.hand_over(first))) == [250]
        assert not session.announced
        assert codes(run(session.hand_over(second))) == [250]
        assert list(asked) == []

    def test_late(self) -> None:
        """One that comes while the end of the content is answered is announced at once."""
        server = Model()
        session, wire = self.session(server)
        first = run(session.prepare(envelope(), Octets(SMALL)))
        second = run(session.prepare(envelope("zoe"), Octets(SMALL)))
        listen = wire.listen

        async def listening() -> None:
            if server.taken and not session.announced:
                session.follow(second)
            await listen()

        wire.listen = listening  # type: ignore[method-assign]
        assert codes(run(session.hand_over(first))) == [250]
        assert session.announced
        assert codes(run(session.hand_over(second))) == [250]

    @pytest.mark.parametrize(
        "answers",
        [
            {".": ["554 5.7.1 No", "250 Ok"]},
            {"RCPT": ["550 5.1.1 Who?", "250 Ok"]},
            {"DATA": ["451 4.3.0 Later", "354 Go"]},
            {"MAIL": ["451 4.3.0 Later", "250 Ok"]},
        ],
    )
    def test_first_refused(self, answers: dict[str, Any]) -> None:
        """Whatever becomes of the first, the second arrives whole."""
        (first, second), wire = self.both(Model(answers=answers))
        assert codes(first)[0] != 250
        assert codes(second) == [250]
        [message] = wire.server.taken
        assert message.content == b"Subject: two\r\n\r\n2\r\n"

    def test_second_refused(self) -> None:
        """Whatever becomes of the second, the first has arrived."""
        answers: dict[str, Any] = {"RCPT": ["250 Ok", "550 5.1.1 Who?"]}
        (first, second), wire = self.both(Model(answers=answers))
        assert (codes(first), codes(second)) == ([250], [550])
        assert len(wire.server.taken) == 1

    def test_chunks(self) -> None:
        """Behind refused chunks a transaction begins with RSET (RFC 3030 §2)."""
        limits = ClientLimits(bdat=1)
        (first, second), wire = self.both(Judge(verdicts=["554 5.7.1 No"]), limits=limits)
        assert (codes(first), codes(second)) == ([554], [250])
        assert wire.server.commands.count("RSET") == 1

    def test_not_pipelined(self) -> None:
        """Without PIPELINING nothing is said before its time."""
        (first, second), wire = self.both(Model(("8BITMIME",)))
        assert (codes(first), codes(second)) == ([250], [250])
        assert [it[:4] for it in wire.writes].count(b"MAIL") == 2

    def test_several_transactions(self) -> None:
        """It is not announced between two transactions of the message before it."""
        results, wire = self.both(Model(), "ann", "bea", "cid", limits=ClientLimits(recipients=2))
        assert [codes(it) for it in results] == [[250] * 3, [250]]
        assert [len(message.recipients) for message in wire.server.taken] == [2, 1, 1]

    def test_limit(self) -> None:
        """A server that wants no more messages is told of none (RFC 9422 §4.1)."""
        server = Model((*EVERYTHING, "LIMITS MAILMAX=1"))
        (first, second), wire = self.both(server)
        assert (codes(first), codes(second)) == ([250], [None])
        assert sum(it.startswith("MAIL") for it in server.commands) == 1
        assert wire.writes

    def test_lacking(self) -> None:
        """What the server cannot take at all is not announced to it."""
        session, _ = self.session(Model(("PIPELINING",)))
        first = run(session.prepare(envelope(), Octets(SMALL)))
        second = run(session.prepare(envelope("zoe"), Octets(b"X: \xff\r\n\r\n")))
        session.follow(second)
        assert codes(run(session.hand_over(first))) == [250]
        assert not session.announced
        handover = run(session.hand_over(second))
        assert (codes(handover), handover.ours) == ([554], {0})

    def test_lost(self) -> None:
        """If the connection is lost the first is in doubt, and the second is not."""
        (first, second), _ = self.both(Model(answers={".": DROP}))
        assert first.fault is not None
        assert first.fault.in_doubt
        assert second.fault is not None
        assert not second.fault.in_doubt
        assert codes(second) == [None]

    def test_unreadable(self) -> None:
        """Content that cannot be read is noticed before anything is said of it."""
        session, wire = self.session(Model())
        with pytest.raises(Unreadable):
            run(session.prepare(envelope(), Octets(SMALL, short=len(SMALL))))
        assert wire.writes == []

    def test_recorded(self) -> None:
        """What was announced is in the record of the message that it is about."""
        lines: list[str] = []
        server = Model()
        wire = Wire(server)
        wire.session = ClientSession(wire, "hub.example", record=lines.append)
        run(wire.session.open())
        first = run(wire.session.prepare(envelope(), Octets(SMALL)))
        second = run(wire.session.prepare(envelope("zoe"), Octets(SMALL)))
        wire.session.follow(second)
        run(wire.session.hand_over(first))
        assert not any("zoe" in line for line in lines)
        run(wire.session.hand_over(second))
        assert any("zoe" in line for line in lines)

    @given(st.lists(st.booleans(), max_size=4), st.lists(st.booleans(), max_size=4), st.booleans())
    def test_any(self, mails: list[bool], contents: list[bool], chunked: bool) -> None:
        """However often a server refuses, each message is answered for, and none arrives twice."""
        answers: dict[str, Any] = {"MAIL": [*map(_said, mails), "250 Ok"]}
        server = Judge(answers=answers, verdicts=[*map(_said, contents)])
        session, _ = self.session(server, limits=ClientLimits(bdat=1 if chunked else 1 << 20))
        jobs = [run(session.prepare(envelope(), Octets(b"%d\r\n" % n))) for n in range(4)]
        handovers = []
        for number, job in enumerate(jobs):
            for following in jobs[number + 1 : number + 2]:
                session.follow(following)
            handovers.append(run(session.hand_over(job)))
        assert all(None not in handover.replies for handover in handovers)
        taken = [n for n, handover in enumerate(handovers) if codes(handover) == [250]]
        assert [message.content for message in server.taken] == [b"%d\r\n" % n for n in taken]


class Ticking:
    """A clock on which everything takes a tenth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


CHUNKS = ("PIPELINING", "CHUNKING", "8BITMIME")


class TestUnderWay:
    """Several messages under way at once, on a long line to a server that takes chunks."""

    def session(self, server: Model, **options: Any) -> tuple[ClientSession, Wire]:
        wire = Wire(server)
        wire.session = ClientSession(wire, "hub.example", seconds=Ticking(), **options)
        run(wire.session.open())
        return wire.session, wire

    def jobs(self, session: ClientSession, count: int, first: int = 0) -> list[Job]:
        """Messages that are ready, each of its own recipient."""
        return [
            run(session.prepare(envelope(f"n{n}"), Octets(b"Subject: %d\r\n\r\n" % n)))
            for n in range(first, first + count)
        ]

    def proved(self, server: Model, **options: Any) -> tuple[ClientSession, Wire]:
        """A connection on which a message has gone by BDAT already."""
        session, wire = self.session(server, **options)
        [job] = self.jobs(session, 1, 9)
        assert codes(run(session.hand_over(job))) == [250]
        server.commands.clear()
        server.taken.clear()
        wire.writes.clear()
        return session, wire

    def all_of(self, server: Model, count: int = 4, **options: Any) -> list[Handover]:
        """What becomes of so many that follow each other."""
        session, _ = self.proved(server, **options)
        first, *others = self.jobs(session, count)
        for job in others:
            session.follow(job)
        return [run(session.hand_over(job)) for job in (first, *others)]

    def test_whole(self) -> None:
        """A message leaves in one piece, and three others right behind it."""
        server = Model(CHUNKS)
        session, wire = self.proved(server)
        first, *others = self.jobs(session, 6)
        for job in others:
            session.follow(job)
        assert codes(run(session.hand_over(first))) == [250]
        assert [it.split(" ")[0] for it in server.commands] == [
            *("MAIL", "RCPT", "BDAT"),
            *("RSET", "MAIL", "RCPT", "BDAT") * 3,
        ]
        assert [session.sent(job) for job in others] == [True, True, True, False, False]
        for number, job in enumerate(others, 1):
            assert codes(run(session.hand_over(job))) == [250]
            assert len(server.taken) == min(number + 4, 6), "the next follows at once"
        contents = [message.content for message in server.taken]
        assert contents == [b"Subject: %d\r\n\r\n" % n for n in range(6)]
        assert not session.announced
        assert [write.count(b"MAIL") for write in wire.writes] == [4, 1, 1]

    def test_only_once_it_was_seen_to_count(self) -> None:
        """The first message on a connection is not followed by content that nobody asked for."""
        server = Model(CHUNKS)
        session, _ = self.session(server)
        first, second, third = self.jobs(session, 3)
        session.follow(second)
        session.follow(third)
        assert codes(run(session.hand_over(first))) == [250]
        assert session.announced
        assert not session.sent(second)
        assert codes(run(session.hand_over(second))) == [250]
        assert session.sent(third)
        assert codes(run(session.hand_over(third))) == [250]

    @pytest.mark.parametrize(
        ("extensions", "options"),
        [
            (("PIPELINING", "8BITMIME"), {}),
            (("CHUNKING", "8BITMIME"), {}),
            (CHUNKS, {"limits": ClientLimits(under_way=1)}),
            (CHUNKS, {"together": False}),
        ],
    )
    def test_not_everywhere(self, extensions: tuple[str, ...], options: dict[str, Any]) -> None:
        """Without one of both extensions, or if it is not wished, none is sent before its turn."""
        server = Model(extensions)
        session, _ = self.session(server, **options)
        jobs = self.jobs(session, 3)
        for job in jobs[1:]:
            session.follow(job)
        for job in jobs:
            assert codes(run(session.hand_over(job))) == [250]
            assert not any(map(session.sent, jobs))
        assert "BDAT" not in " ".join(server.commands)

    @pytest.mark.parametrize("size", [10, 10_000])
    def test_unknown(self, size: int) -> None:
        """A server that announces CHUNKING and knows no BDAT has refused nobody's mail."""
        limits = ClientLimits(bdat=1000)
        session, _ = self.session(Unknowing(CHUNKS), limits=limits)
        job = run(session.prepare(envelope(), Octets(b"x" * size + b"\r\n")))
        handover = run(session.hand_over(job))
        assert codes(handover) == [None]
        assert isinstance(handover.fault, Incomprehensible)
        assert handover.fault.together
        assert not handover.fault.in_doubt
        server = Unknowing(CHUNKS)
        session, _ = self.session(server, limits=limits, together=False)
        job = run(session.prepare(envelope(), Octets(b"x" * size + b"\r\n")))
        assert codes(run(session.hand_over(job))) == [250]
        assert "DATA" in server.commands

    def test_after_silence(self) -> None:
        """A server that may have gone is not sent a whole message: that would be in doubt."""
        server = Model(CHUNKS)
        clock = Ticking()
        wire = Wire(server)
        wire.session = ClientSession(wire, "hub.example", seconds=clock)
        run(wire.session.open())
        for pause, whole in ((0.0, False), (0.0, True), (5.0, False)):
            clock.now += pause
            wire.writes.clear()
            [job] = self.jobs(wire.session, 1)
            assert codes(run(wire.session.hand_over(job))) == [250]
            assert (b"BDAT" in wire.writes[0]) is whole

    def test_short_line(self) -> None:
        """Where a round trip takes no time there is nothing to be gained."""
        wire = Wire(Model(CHUNKS))
        wire.session = ClientSession(wire, "hub.example", seconds=lambda: 1.0)
        run(wire.session.open())
        assert wire.session.followers == 1

    def test_large(self) -> None:
        """What does not lie in memory whole is announced, and sent in its turn."""
        server = Model(CHUNKS)
        session, _ = self.proved(server)
        [first] = self.jobs(session, 1)
        large = run(session.prepare(envelope("big"), Octets(b"x" * 998 + b"\r\n" + b"y" * PIECE)))
        session.follow(large)
        assert codes(run(session.hand_over(first))) == [250]
        assert session.announced
        assert not session.sent(large)
        assert codes(run(session.hand_over(large))) == [250]
        assert len(server.taken[1].content) == 1000 + PIECE

    @pytest.mark.parametrize("refused", ["MAIL", "RCPT"])
    def test_refused(self, refused: str) -> None:
        """A refused envelope is followed by refused content; the others arrive (RFC 3030 §4.2)."""
        turns: list[Any] = ["250 Ok", "250 Ok", "550 5.7.1 No", "250 Ok"]
        server = Judge(CHUNKS, answers={refused: turns}, verdicts=[_said(good=True)] * 2)
        server.verdicts += ["503 5.5.1 Nobody", *[_said(good=True)] * 2]
        handovers = self.all_of(server)
        assert [codes(it) for it in handovers] == [[250], [550], [250], [250]]
        assert all(it.fault is None for it in handovers)
        assert [message.content[9:10] for message in server.taken] == [b"0", b"2", b"3"]

    def test_content_refused(self) -> None:
        """A refusal of one content is that of no other."""
        good, bad = _said(good=True), "554 5.7.1 Spam"
        server = Judge(CHUNKS, verdicts=[good, good, bad, good, bad])
        assert [codes(it) for it in self.all_of(server)] == [[250], [554], [250], [554]]
        assert len(server.taken) == 2

    def test_taken_for_nobody(self) -> None:
        """A server that takes content after it refused all recipients has lost its way."""
        turns: list[Any] = ["250 Ok", "250 Ok", "550 5.1.1 Who?", "250 Ok"]
        handovers = self.all_of(Judge(CHUNKS, answers={"RCPT": turns}))
        assert [codes(it) for it in handovers] == [[250], [550], [None], [None]]
        assert isinstance(handovers[1].fault, Incomprehensible)
        assert handovers[1].fault.together
        assert [it.fault is not None and it.fault.in_doubt for it in handovers[2:]] == [True] * 2

    def test_farewell(self) -> None:
        """Behind 421 nothing was read: what was sent there may go elsewhere (RFC 5321 §3.8)."""
        turns: list[Any] = ["250 Ok", "250 Ok", "421 4.7.0 Enough\n"]
        server = Model(CHUNKS, answers={"MAIL": turns})
        first, second, third, fourth = self.all_of(server)
        assert codes(first) == [250]
        for handover in (second, third, fourth):
            assert codes(handover) == [None]
            assert handover.fault is not None
            assert not handover.fault.in_doubt
            assert handover.fault.reply.code == 421

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "BDAT"])
    def test_lost(self, verb: str) -> None:
        """All that was sent and not answered is in doubt; what was answered is not."""
        turns: list[Any] = ["250 Ok", "250 Ok", DROP]
        if verb == "BDAT":  # answered before its content, too
            turns = ["", "250 Ok", "", "250 Ok", "", DROP]
        session, _ = self.proved(Model(CHUNKS, answers={verb: turns}))
        jobs = self.jobs(session, 6)
        for job in jobs[1:]:
            session.follow(job)
        handovers = [run(session.hand_over(job)) for job in jobs]
        assert [codes(it) for it in handovers] == [[250], *[[None]] * 5]
        faults = [it.fault for it in handovers[1:]]
        assert [fault is not None and fault.in_doubt for fault in faults] == [True] * 4 + [False]

    def test_refused_and_lost(self) -> None:
        """A recipient that was refused before the connection broke is in no doubt."""
        answers: dict[str, Any] = {
            "RCPT": ["250 Ok", "250 Ok", "550 5.1.1 Who?"],
            "BDAT": ["", "250 Ok", "", "250 Ok", "", DROP],
        }
        _, second, third, _ = self.all_of(Model(CHUNKS, answers=answers))
        assert codes(second) == [550]
        assert second.fault is not None
        assert not second.fault.in_doubt
        assert third.fault is not None
        assert third.fault.in_doubt

    def test_too_many_recipients(self) -> None:
        """Who is put off for a server's limit goes elsewhere: here others are under way."""
        server = Model(CHUNKS, answers={"RCPT": ["250 Ok", "250 Ok", "250 Ok", "452 4.5.3 Many"]})
        session, _ = self.proved(server)
        [first] = self.jobs(session, 1)
        both = run(session.prepare(envelope("ann", "bea"), Octets(SMALL)))
        [third] = self.jobs(session, 1, 3)
        session.follow(both)
        session.follow(third)
        handovers = [run(session.hand_over(job)) for job in (first, both)]
        assert codes(handovers[1]) == [250, None]
        assert handovers[1].fault is None
        assert session.announced

    def test_cut_short(self) -> None:
        """Whoever follows one that was called off hears that it may have arrived."""
        server = Model(CHUNKS)
        session, wire = self.proved(server)
        first, second = self.jobs(session, 2)
        session.follow(second)

        async def called_off() -> None:
            raise KeyboardInterrupt

        server.answers = {"RSET": SILENCE}
        coroutine = session.hand_over(first)
        assert codes(run(coroutine)) == [250]
        [third] = self.jobs(session, 1, 3)
        session.follow(third)
        wire.listen = called_off  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            run(session.hand_over(second))
        fault = run(session.hand_over(third)).fault
        assert fault is not None
        assert fault.in_doubt

    def test_recorded(self) -> None:
        """Each message's dialogue is its own, whenever it was said."""
        lines: list[str] = []
        session, _ = self.proved(Model(CHUNKS), record=lines.append)
        first, second = self.jobs(session, 2)
        session.follow(second)
        lines.clear()
        run(session.hand_over(first))
        assert not any("n1" in line for line in lines)
        lines.clear()
        run(session.hand_over(second))
        assert [line.partition(":")[0] for line in lines[:3]] == [
            ">>> MAIL FROM",
            ">>> RCPT TO",
            ">>> BDAT 14 LAST",
        ]
        assert lines[-1].startswith("<<< 250")

    def test_limit(self) -> None:
        """A server that wants no more messages is sent none (RFC 9422 §4.1)."""
        server = Model((*CHUNKS, "LIMITS MAILMAX=3"))
        handovers = self.all_of(server)
        assert [codes(it) for it in handovers] == [[250], [250], [None], [None]]
        assert all(it.fault is None for it in handovers)

    @given(
        st.lists(st.booleans(), max_size=6),
        st.lists(st.booleans(), max_size=6),
        st.lists(st.booleans(), max_size=6),
        st.integers(2, 5),
    )
    def test_any(
        self, mails: list[bool], paths: list[bool], contents: list[bool], depth: int
    ) -> None:
        """However often a server refuses, each is answered for, and arrives if it was accepted."""
        answers: dict[str, Any] = {"MAIL": ["250 Ok", *map(_said, mails), "250 Ok"]}
        server = Strict(CHUNKS, answers=answers, paths=[True, *paths], contents=[True, *contents])
        session, _ = self.proved(server, limits=ClientLimits(under_way=depth))
        jobs = self.jobs(session, 7)
        handovers = []
        for number, job in enumerate(jobs):
            for following in jobs[number + 1 : number + depth]:
                if not session.sent(following):
                    session.forget(following)
                    session.follow(following)
            handovers.append(run(session.hand_over(job)))
        assert all(handover.fault is None for handover in handovers)
        assert all(None not in handover.replies for handover in handovers)
        taken = [n for n, handover in enumerate(handovers) if codes(handover) == [250]]
        assert [it.content for it in server.taken] == [b"Subject: %d\r\n\r\n" % n for n in taken]


@dataclass
class Strict(Model):
    """Refuses content for nobody, and waits for RSET after each refusal of a content."""

    paths: list[bool] = field(default_factory=list)
    contents: list[bool] = field(default_factory=list)

    def _rcpt(self, line: str) -> str:
        if not self.mail:
            return "503 5.5.1 MAIL first"
        return _said(self.paths.pop(0) if self.paths else True)

    def _end(self, verb: str, last: bool) -> None:
        assert verb == "BDAT"
        assert last
        said = "503 5.5.1 Nobody"
        if self.recipients:
            said = _said(self.contents.pop(0) if self.contents else True)
        if said.startswith("2"):
            self.taken.append(Message(self.mail, self.recipients, self.content))
            self.mail, self.recipients = "", []
        self.content = b""
        self.say(said)
