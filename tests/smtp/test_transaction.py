"""Transactions without a session: envelope, content, and how each of them ends."""

from __future__ import annotations

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body
from mailhub.mail.reply import Refusal, Reply
from mailhub.ports.conversation import Client
from mailhub.smtp.command import Bdat, Mail, Rcpt
from mailhub.smtp.limits import Limits, Site
from mailhub.smtp.reader import Reader
from mailhub.smtp.sequence import Phase
from mailhub.smtp.transaction import Transaction
from tests.rig import run
from tests.smtp.fakes import FakeIntake

CLIENT = Client("192.0.2.1", 4711)
LIMITS = Limits(size=20, recipients=2, content_block=4)
ANN = Rcpt(Path("ann", "hub.example"))
NO: tuple[int, str] = (554, "5.1")


class Under:
    """A transaction, what it reads from, and whom it asks."""

    def __init__(self, *, begun: bool = True, body: Body = Body.SEVEN_BIT) -> None:
        self.intake = FakeIntake()
        self.reader = Reader(100, 100)
        self.way = Transaction(Site("hub.example"), LIMITS, self.intake, self.reader)
        self.way.phase = Phase.GREETED
        if begun:
            run(self.way.begin(CLIENT, Mail(NULL, body=body)))
            run(self.way.add(CLIENT, ANN))

    def chunk(self, octets: bytes, *, last: bool = False) -> Reply | Refusal | None:
        run(self.way.bdat(CLIENT, Bdat(len(octets), last)))
        self.reader.feed(octets)
        return run(self.way.take())

    @property
    def ended(self) -> list[str]:
        """How the drafts have ended."""
        return [draft.ended for draft in self.intake.drafts]


def code(end: Reply | Refusal | None) -> int:
    assert end is not None
    return (end.reply if isinstance(end, Refusal) else end).code


def test_envelope() -> None:
    """MAIL begins it, each RCPT adds a recipient; what is refused changes nothing."""
    under = Under(begun=False)
    with pytest.raises(Refusal):
        run(under.way.begin(CLIENT, Mail(Path("refused", "b.example"))))
    assert (under.way.phase, under.way.envelope) == (Phase.GREETED, None)
    run(under.way.begin(CLIENT, Mail(NULL)))
    with pytest.raises(Refusal):
        run(under.way.add(CLIENT, Rcpt(Path("nobody", "hub.example"))))
    phases = [under.way.phase]
    run(under.way.add(CLIENT, ANN))
    assert [*phases, under.way.phase] == [Phase.MAIL, Phase.RCPT]
    assert under.way.envelope is not None
    assert [it.path for it in under.way.envelope.recipients] == [ANN.forward_path]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (Mail(NULL, size=21), (552, "3.4")),
        (Mail(NULL, require_tls=True), (555, "5.4")),
        (Mail(NULL, hold_for=60), (555, "5.4")),
    ],
)
def test_what_mail_may_not_ask(command: Mail, status: tuple[int, str]) -> None:
    """Too large (RFC 1870 §6.1), REQUIRETLS in the clear (RFC 8689 §2), held by a stranger."""
    under = Under(begun=False)
    with pytest.raises(Refusal) as caught:
        run(under.way.begin(CLIENT, command))
    assert (caught.value.reply.code, caught.value.reply.detail) == status
    assert under.intake.envelopes == []


def test_surplus() -> None:
    """Recipients beyond the limit are refused for now and counted, until the transaction ends."""
    under = Under()
    run(under.way.add(CLIENT, ANN))
    for surplus in (1, 2):
        with pytest.raises(Refusal) as caught:
            run(under.way.add(CLIENT, ANN))
        assert (caught.value.reply.code, under.way.surplus) == (452, surplus)
    run(under.way.abandon())
    assert (under.way.surplus, under.way.phase) == (0, Phase.GREETED)


def test_content() -> None:
    """Content goes to a draft, block by block, and its end is answered with what that says."""
    under = Under()
    run(under.way.data(CLIENT))
    assert under.way.receiving
    under.reader.feed(b"hello\r\n")
    assert run(under.way.take()) is None
    assert under.way.blocks == 1
    under.reader.feed(b".\r\n")
    assert code(run(under.way.take())) == 250
    assert (under.way.phase, under.way.envelope, under.way.receiving) == (
        Phase.GREETED,
        None,
        False,
    )
    assert under.intake.contents == [b"hello\r\n"]


def test_fault() -> None:
    """What is wrong is known before the end has come, and told at the end."""
    under = Under()
    run(under.way.data(CLIENT))
    assert under.way.fault is None
    under.reader.feed(b"a\nb\r\n")
    assert run(under.way.take()) is None
    assert under.way.fault is not None
    assert under.ended == ["aborted"]
    under.reader.feed(b".\r\n")
    assert code(run(under.way.take())) == 550
    assert under.way.fault is None


def test_binary_needs_chunks() -> None:
    """BINARYMIME cannot come by DATA (RFC 3030 §3)."""
    under = Under(body=Body.BINARY)
    with pytest.raises(Refusal):
        run(under.way.data(CLIENT))
    assert code(under.chunk(b"a\nb\0", last=True)) == 250
    assert under.intake.contents == [b"a\nb\0"]


def test_chunks() -> None:
    """Each chunk is answered; the last one for all of them (RFC 3030 §2)."""
    under = Under()
    assert code(under.chunk(b"a\r")) == 250
    assert (under.way.phase, under.way.receiving) == (Phase.CHUNKS, False)
    assert code(under.chunk(b"\n", last=True)) == 250
    assert under.intake.contents == [b"a\r\n"]


def test_spoilt() -> None:
    """A chunk that is refused spoils the transaction until it is abandoned (RFC 3030 §4.2)."""
    under = Under()
    assert code(under.chunk(b"x" * 21)) == 552
    assert (under.way.phase, under.ended) == (Phase.SPOILT, ["aborted"])
    run(under.way.abandon())
    assert under.way.phase is Phase.GREETED


def test_no_draft() -> None:
    """The octets of a chunk that nobody wants are read all the same."""
    under = Under(begun=False)
    run(under.way.begin(CLIENT, Mail(Path("nodraft", "b.example"))))
    run(under.way.add(CLIENT, ANN))
    assert code(under.chunk(b"hello")) == 452
    assert under.reader.pending == 0


def test_dropped() -> None:
    """So are those of one that comes out of sequence; it changes nothing."""
    under = Under(begun=False)
    under.way.drop(Bdat(5, last=True), Refusal(*NO, "MAIL first"))
    under.reader.feed(b"helloNOOP")
    assert code(run(under.way.take())) == 554
    assert (under.way.phase, under.reader.pending) == (Phase.GREETED, 4)


def test_commit_refused() -> None:
    """A draft that is refused at its end is answered so, and the transaction is over."""
    under = Under()
    assert code(under.chunk(b"spam", last=True)) == 550
    assert under.way.envelope is None


def test_abandoned() -> None:
    """Content that does not come to its end is aborted."""
    under = Under()
    run(under.way.data(CLIENT))
    run(under.way.abandon())
    assert under.ended == ["aborted"]
    assert not under.way.receiving
