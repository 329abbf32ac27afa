"""Messages for servers that take less, and servers that refuse what they have announced."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailhub.mail.address import Path
from mailhub.mail.envelope import Body, Envelope, Notify, Recipient
from mailhub.smtp.client import ClientSession
from mailhub.smtp.features import NOTHING, parse_features
from mailhub.smtp.job import Handover
from mailhub.smtp.suiting import LIMIT, Encoded, bare, suited
from tests.rig import run
from tests.smtp.model import EVERYTHING, FakeWire, Model, Octets

TEXT = "Subject: x\r\n\r\nGrüße\r\n".encode()
ANN, BOB = Path("ann", "hub.example"), Path("bob", "example.org")
TO_BOB = Envelope(ANN, (Recipient(BOB),), Body.EIGHT_BIT)


class Unreadable(Octets):
    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        raise FileNotFoundError


def sent(
    server: Model, octets: bytes = TEXT, envelope: Envelope = TO_BOB
) -> tuple[Handover, Sequence[str]]:
    told: list[str] = []
    wire = FakeWire(server)
    session = wire.session = ClientSession(wire, "hub.example", record=told.append)
    run(session.open())
    return run(session.deliver(envelope, Octets(octets))), told


class TestSevenBits:
    def test_encoded(self) -> None:
        """Who does not announce 8BITMIME gets 7 bits, and the dialogue says so."""
        server = Model(("PIPELINING", "SIZE"))
        handover, told = sent(server)
        assert [reply and reply.code for reply in handover.replies] == [250]
        [message] = server.taken
        assert b"Gr=C3=BC=C3=9Fe\r\n" in message.content
        assert (
            f"(encoded in 7 bits, {len(message.content)} octets: 8BITMIME is not offered)" in told
        )
        assert f"MAIL FROM:<{ANN}> SIZE={len(message.content)}" in server.commands

    def test_not_declared(self) -> None:
        """So do messages whose client did not say that they are of 8 bits."""
        server = Model(())
        sent(server, envelope=Envelope(ANN, (Recipient(BOB),)))
        assert server.taken[0].content.isascii()

    def test_impossible(self) -> None:
        """What cannot be encoded is not sent, and the dialogue tells why."""
        server = Model(())
        handover, told = sent(server, "Subject: ü\r\n\r\n".encode())
        assert [reply and reply.text for reply in handover.replies] == [
            "554 5.6.3 The next host does not take 8-bit content"
        ]
        assert handover.ours == {0}
        assert "(not encoded in 7 bits: the header is not ASCII)" in told
        assert server.taken == []

    @pytest.mark.parametrize(
        ("envelope", "content"),
        [
            (Envelope(body=Body.BINARY), Octets(TEXT)),
            (Envelope(body=Body.EIGHT_BIT), Unreadable(TEXT)),
            (Envelope(body=Body.EIGHT_BIT), Octets(TEXT + b"x" * LIMIT)),
        ],
    )
    def test_left_alone(self, envelope: Envelope, content: Octets) -> None:
        """Binary content, what cannot be read and what is too large stay as they are."""
        assert run(suited(envelope, content, NOTHING, list[str]().append)) == (envelope, content)

    @pytest.mark.parametrize("size", [20, LIMIT + 1])
    def test_declared_in_vain(self, size: int) -> None:
        """ASCII is of 7 bits, however large, and whatever the client has called it."""
        content = Octets(b"Subject: x\r\n\r\n".ljust(size, b"x"))
        envelope, same = run(suited(TO_BOB, content, NOTHING, list[str]().append))
        assert envelope.body is Body.SEVEN_BIT
        assert same is content

    def test_read_anywhere(self) -> None:
        """What was made is content like any other."""
        content = Encoded(b"abcdef")
        assert content.size == 6
        assert run(content.read()) == b"abcdef"
        assert run(content.read(2, 3)) == b"cde"
        assert run(content.read(4)) == b"ef"


class TestLies:
    def test_body(self) -> None:
        """Who refuses BODY gets 7 bits after all."""
        server = Model(EVERYTHING, {"MAIL": ["555 5.5.4 BODY?", "250 2.1.0 ok"]})
        handover, told = sent(server)
        assert [reply and reply.code for reply in handover.replies] == [250]
        first, second = (line for line in server.commands if line.startswith("MAIL"))
        assert "BODY=8BITMIME" in first
        assert second == f"MAIL FROM:<{ANN}>"
        assert server.taken[0].content.isascii()
        assert "(once more without parameters: what was announced was refused)" in told

    def test_notify(self) -> None:
        """Who refuses the parameters of RCPT is told none, and reporting stays with us."""
        server = Model(EVERYTHING, {"RCPT": ["501 5.5.4 NOTIFY?", "250 2.1.5 ok"]})
        asked = Envelope(ANN, (Recipient(BOB, Notify.SUCCESS),))
        handover, _ = sent(server, b"x: y\r\n\r\n", asked)
        assert [reply and reply.code for reply in handover.replies] == [250]
        assert f"RCPT TO:<{BOB}>" in server.commands

    @pytest.mark.parametrize("answer", ["550 5.7.1 No", "501 5.1.7 Bad address", "451 4.3.0 Later"])
    def test_other_refusals(self, answer: str) -> None:
        """Any other refusal is one."""
        server = Model(EVERYTHING, {"MAIL": answer})
        handover, _ = sent(server)
        assert [reply and reply.text for reply in handover.replies] == [answer]
        assert len([line for line in server.commands if line.startswith("MAIL")]) == 1

    def test_once(self) -> None:
        """Who refuses plain commands, too, is believed, and so is who was asked nothing more."""
        for extensions, times in ((EVERYTHING, 2), ((), 1)):
            server = Model(extensions, {"MAIL": "555 5.5.4 What?"})
            handover, _ = sent(server, b"x: y\r\n\r\n")
            assert [reply and reply.code for reply in handover.replies] == [555]
            assert len([line for line in server.commands if line.startswith("MAIL")]) == times

    def test_what_must_be_said(self) -> None:
        """Where it cannot be said without them, their own words stand."""
        server = Model(EVERYTHING, {"MAIL": "555 5.6.7 SMTPUTF8?"})
        to = Envelope(ANN, (Recipient(Path("ü", "example.org")),), utf8=True)
        handover, _ = sent(server, b"x: y\r\n\r\n", to)
        assert [reply and reply.text for reply in handover.replies] == ["555 5.6.7 SMTPUTF8?"]


def test_bare() -> None:
    """What is no parameter stays: PIPELINING, limits, the largest message."""
    features = parse_features(("x", "SIZE 5", "8BITMIME", "PIPELINING", "DELIVERBY 5", "DSN"))
    plain = bare(features)
    assert plain.pipelining
    assert plain.size == 5
    assert set(plain.keywords) == {"PIPELINING"}
    assert bare(plain) == plain
