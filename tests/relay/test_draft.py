"""Messages on their way in: what they get, what is held, and when 250 is said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from typing import cast

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailhub.mail.address import NULL, parse_path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.content import Octets
from mailhub.policy.access import Rules
from mailhub.policy.limits import IntakeLimits
from mailhub.ports.conversation import Client, Tls
from mailhub.queue.flow import Flow
from mailhub.queue.item import Origin
from tests.policy.test_access import ALICE, STRANGER, USER
from tests.policy.test_alias import at
from tests.relay.test_intake import House
from tests.rig import run

BOB = Recipient(at("bob"))
CAROL = Recipient(parse_path("carol@elsewhere.example"))
SENDER = parse_path("dan@elsewhere.example")
HEADER = b"Subject: hello\r\n\r\n"


class TestContent:
    def test_received_in_front(self) -> None:
        """Mail is kept as it came, behind our Received."""
        house = House()
        message = HEADER + b"..\r\n\x00\xff\r\n"
        assert house.take([message]).text == "250 2.0.0 Ok, queued as id1"
        assert house.content.endswith(b"+0000\r\n" + message)
        assert house.received == (
            "Received: from [192.0.2.1] ([192.0.2.1])\r\n"
            "\tby hub.example (mailhub) with SMTP id id1\r\n"
            "\tfor <bob@hub.example>;\r\n"
            "\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        )
        assert house.item.size == len(house.content)
        [(item, content)] = house.announced
        assert item == house.item
        assert run(content.read()) == house.content

    @pytest.mark.parametrize(
        "message",
        [
            b"A: b\r\nC: d\r\n\r\nbody\r\n",
            b"\r\nbody without header\r\n",
            b"A: b\r\n",
            b"A: b\r\n\r\n",
            b"",
            b"no header, no end",
            b"A: b\r\n\r\n\r\n\r\n",
            b"A: " + b"x" * 3000 + b"\r\n\r\n" + b"y" * 3000,
        ],
    )
    def test_any_cut(self, message: bytes) -> None:
        """However it arrives, the same is kept."""
        cuts = [
            [message],
            [message[i : i + 1] for i in range(len(message))],
            [message[i : i + 700] for i in range(0, len(message), 700)],
            [message[: len(message) // 2], message[len(message) // 2 :]],
        ]
        for pieces in cuts:
            house = House(limits=IntakeLimits(piece=1500))
            assert house.take(pieces).code == 250
            assert house.content == house.received.encode() + message

    def test_large(self) -> None:
        """What does not fit into memory goes to a file, in pieces, with its head before it."""
        house = House(limits=IntakeLimits(piece=2000))
        body = [b"x" * 400] * 20
        assert house.take([HEADER, *body]).code == 250
        [file] = house.journal.files
        assert file.head == (
            b"Return-Path: <dan@elsewhere.example>\r\nDelivered-To: bob@hub.example\r\n"
        )
        assert max(map(len, file.pieces)) <= 2400
        assert len(file.pieces) > 2
        assert house.content == house.received.encode() + HEADER + b"".join(body)
        assert house.item.head == file.head
        assert house.item.size == len(house.content)
        assert cast("Octets", house.announced[0][1]).octets == b"the file: " + house.content

    @pytest.mark.parametrize("recipients", [[CAROL], [BOB, CAROL], [BOB, Recipient(at("alice"))]])
    def test_large_for_others(self, recipients: list[Recipient]) -> None:
        """A file that is not one mailbox's alone has no head."""
        house = House()
        house.take(
            [HEADER, b"x" * 2000],
            *recipients,
            client=replace(ALICE, submission=False),
            envelope=Envelope(NULL),
        )
        assert house.journal.files[0].head == house.item.head == b""

    def test_abort(self) -> None:
        """What is given up leaves nothing, large or small."""
        house = House(limits=IntakeLimits(piece=10))
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER + b"x" * 2000))
        run(draft.abort())
        run(draft.abort())
        assert house.journal.files[0].aborted
        assert house.journal.accepted == []


class TestHeader:
    def test_loop(self) -> None:
        """Too many hosts, or a mailbox it was in, end a loop (RFC 5321 §6.3)."""
        house = House(limits=IntakeLimits(hops=3))
        assert house.take([b"Received: x\r\n" * 3 + HEADER]).code == 250
        assert house.take([b"Received: x\r\n" * 4 + HEADER]).status == "5.4.6"
        assert house.take([b"Delivered-To: bob@hub.example\r\n" + HEADER]).status == "5.4.6"
        assert house.take([b"Delivered-To: carol@elsewhere.example\r\n" + HEADER]).code == 250

    def test_loop_without_header_end(self) -> None:
        """A message that is all header is judged at its end."""
        house = House(limits=IntakeLimits(hops=3))
        assert house.take([b"Received: x\r\n" * 4]).status == "5.4.6"
        assert house.journal.accepted == []

    def test_endless_header(self) -> None:
        """A header section without end is bounded: judged by its beginning, or refused."""
        house = House(limits=IntakeLimits(header=1000, hops=3))
        endless = [b"A: b\r\n" * 100] * 10
        assert house.take(endless).code == 250
        assert house.content.endswith(b"+0000\r\n" + b"".join(endless))
        assert house.take([b"Received: x\r\n" * 100] * 10).status == "5.4.6"
        assert house.take(endless, client=USER, envelope=Envelope(NULL)).status == "5.3.4"

    def test_stranger_is_not_mended(self) -> None:
        """Mail from other hosts passes as it is, odd or not."""
        message = b"Bcc: x\r\nFrom: alice@hub.example\r\nno field\r\n\r\n"
        house = House()
        house.take([message])
        assert house.content.endswith(b"+0000\r\n" + message)


class TestSubmission:
    def submit(self, house: House, message: bytes, client: Client = USER) -> Reply:
        envelope = Envelope(at("alice"))
        return house.take([message], CAROL, client=client, envelope=envelope)

    def test_mended(self) -> None:
        """Date and Message-ID are added, Bcc is removed, the rest stays (RFC 6409 §8)."""
        for client in (USER, ALICE):
            house = House()
            message = b"From: alice@hub.example\r\nBcc: eve@x.example\r\nTo: y\r\n\r\nBcc: body\r\n"
            assert self.submit(house, message, client).code == 250
            assert house.content.endswith(
                b"+0000\r\n"
                b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
                b"Message-ID: <id1@hub.example>\r\n"
                b"From: alice@hub.example\r\nTo: y\r\n\r\nBcc: body\r\n"
            )
            assert house.item.size == len(house.content)

    def test_no_header(self) -> None:
        """Text alone gets a header, and stays text."""
        house = House()
        self.submit(house, b"Hello\r\n")
        assert house.content.endswith(b"From: <alice@hub.example>\r\n\r\nHello\r\n")

    def test_other_sender(self) -> None:
        """A Sender who is somebody else goes."""
        house = House()
        self.submit(house, b"Sender: root@x\r\nFrom: alice@hub.example\r\n" + HEADER)
        assert b"root" not in house.content

    def test_not_mine(self) -> None:
        """Writing as somebody else is refused, at MAIL and in From."""
        house = House()
        assert self.submit(house, b"From: bob@hub.example\r\n" + HEADER).status == "5.7.1"
        with pytest.raises(Refusal):
            run(house.intake.sender(USER, Envelope(at("bob"))))
        house = House(rules=Rules(own_senders=False))
        assert self.submit(house, b"From: bob@hub.example\r\n" + HEADER).code == 250

    def test_tls_required(self) -> None:
        """What domains demand of TLS may fail, if a message says so alone (RFC 8689 §4.1)."""
        house = House()
        self.submit(house, b"TLS-Required: No\r\n" + HEADER)
        assert house.item.envelope.tls_optional
        house.take([b"TLS-Required: No\r\n" + HEADER])
        assert house.item.envelope.tls_optional
        strict = Envelope(SENDER, require_tls=True)
        house.take([b"TLS-Required: No\r\n" + HEADER], envelope=strict)
        assert not house.item.envelope.tls_optional

    def test_priority_in_received(self) -> None:
        """The priority that was asked for stands in Received (RFC 6710 §4.1)."""
        house = House()
        house.take([HEADER], envelope=Envelope(SENDER, priority=-3))
        assert "\r\n\tPRIORITY -3\r\n" in house.received

    def test_hidden_client(self) -> None:
        """Where our users are need not be told to the world; strangers are told of."""
        house = House(limits=IntakeLimits(hide_clients=True))
        self.submit(house, HEADER)
        assert "192.0.2.1" not in house.received
        house.take([HEADER])
        assert "192.0.2.1" in house.received

    def test_trace(self) -> None:
        """How it came stands in Received and in the item."""
        house = House()
        tls = Tls("TLSv1.3", "TLS_AES_128", lambda kind: None)
        client = replace(USER, tls=tls, helo="laptop", protocol="ESMTPSA")
        self.submit(house, HEADER, client)
        assert (
            "from laptop ([192.0.2.1])\r\n\tby hub.example (mailhub) with ESMTPSA id id1\r\n"
            in (house.received)
        )
        assert "(TLSv1.3 TLS_AES_128)" in house.received
        assert house.item.origin == Origin("192.0.2.1", "laptop", "ESMTPSA", "alice@hub.example")


class TestCommit:
    def test_not_before(self) -> None:
        """250 is said when the journal has said so."""
        house = House()
        house.journal.waiting = Deferred()
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        assert not reply.called
        house.journal.waiting.callback(None)
        assert reply.called
        assert len(house.announced) == 1

    def test_client_gone(self) -> None:
        """A commit that was begun ends, and is announced, whoever hangs up."""
        house = House()
        waiting: Deferred[None] = Deferred()
        house.journal.waiting = waiting
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        reply.addErrback(lambda failure: failure.trap(CancelledError))
        reply.cancel()
        with suppress(Refusal):
            run(draft.abort())
        waiting.callback(None)
        assert len(house.announced) == 1

    def test_waits_for_room(self) -> None:
        """Nothing is committed that local delivery could not bear."""
        room: Deferred[None] = Deferred()

        async def patience() -> None:
            await room

        house = House(patience=patience)
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        assert house.journal.accepted == []
        room.callback(None)
        assert reply.called
        assert len(house.journal.accepted) == 1


class TestFlows:
    """Whose mail it is, of which class, and how urgent."""

    LETTER = b"From: a@hub.example\r\nSubject: x\r\n\r\n"

    def test_class(self) -> None:
        """A newsletter is bulk, a letter is not; strangers' mail is one flow."""
        house = House()
        house.take([self.LETTER])
        assert house.item.flow == Flow("", "normal", 0)
        house.take([b"Precedence: bulk\r\n" + self.LETTER])
        assert house.item.flow.name == "bulk"

    def test_urgent_only_for_some(self) -> None:
        """Who may not go before others is told which priority it is (RFC 6710 §4.1)."""
        house = House()
        reply = house.take([self.LETTER], envelope=Envelope(SENDER, priority=4))
        assert (reply.status, house.item.flow.priority) == ("2.3.6", 0)
        assert reply.lines[0].startswith("0 ")
        assert house.item.envelope.priority == 0, "and so are the hosts behind us"
        reply = house.take([self.LETTER], envelope=Envelope(SENDER, priority=-4))
        assert (reply.status, house.item.flow.priority) == ("2.0.0", -4)
        trusted = House(rules=Rules(trusted=(ip_network("192.0.2.0/24"),)))
        trusted.take([self.LETTER], envelope=Envelope(SENDER, priority=4))
        assert trusted.item.flow == Flow(SENDER.domain, "normal", 4)

    def test_released_later(self) -> None:
        """What is to be held for its sender is due when it is released."""
        house = House()
        house.take([self.LETTER], envelope=Envelope(SENDER, hold_for=60))
        assert house.item.release == house.item.arrived + 60
        assert house.item.local == ()
