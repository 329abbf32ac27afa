"""Mail taken in through `IMessageDelivery` and `IMessage`."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal
from mailhub.net.delivery import DeliveryDraft, DeliveryIntake
from mailhub.net.stock import smtp
from mailhub.ports.conversation import Client
from tests.rig import run

CLIENT = Client("192.0.2.1", 1, helo="client.example")
SENDER = Path("a", "client.example")
ENVELOPE = Envelope(SENDER)


class Message:
    """An `IMessage` in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.lost = 0
        self.end: Any = succeed(None)

    def lineReceived(self, line: bytes) -> None:
        if line == b"bad":
            raise smtp.SMTPServerError(552, "Too bad")
        self.lines.append(line)

    def eomReceived(self) -> Any:
        return self.end

    def connectionLost(self) -> None:
        self.lost += 1
        raise ValueError("of no interest")


class Hooks:
    """An `IMessageDelivery` that fails as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []
        self.messages: list[Message] = []

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        self.asked.append((helo, str(origin)))
        if self.error is not None:
            raise self.error
        return succeed(origin)

    def validateTo(self, user: Any) -> Any:
        self.asked.append((str(user), user.helo, str(user.orig)))
        if self.error is not None:
            return fail(self.error)
        return self.make

    def make(self) -> Message:
        if self.error is not None:
            raise self.error
        self.messages.append(Message())
        return self.messages[-1]

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> Any:
        return b"Received: from " + helo[0] if self.asked else None


def intake(hooks: Hooks) -> DeliveryIntake:
    return DeliveryIntake(hooks, b"hub.example")


def refusal(error: Exception, *, to: bool = False) -> str:
    """The reply to MAIL or RCPT when the hooks raise this."""
    taking = intake(Hooks(error))
    sender, recipient = taking.sender, taking.recipient
    with pytest.raises(Refusal) as caught:
        run(recipient(CLIENT, ENVELOPE, Recipient(SENDER)) if to else sender(CLIENT, ENVELOPE))
    return caught.value.reply.text


class TestIntake:
    def test_asked(self) -> None:
        """The hooks are asked as Twisted's server asks them."""
        hooks = Hooks()
        taking = intake(hooks)
        run(taking.sender(CLIENT, ENVELOPE))
        run(taking.recipient(CLIENT, ENVELOPE, Recipient(Path("ann", "hub.example"))))
        helo = (b"client.example", b"192.0.2.1")
        assert hooks.asked == [
            (helo, "a@client.example"),
            ("ann@hub.example", helo, "a@client.example"),
        ]
        draft = run(taking.draft(CLIENT, ENVELOPE))
        run(draft.write(b"Subject: x\r\n\r\nte"))
        run(draft.write(b"xt\r\nrest"))
        assert run(draft.commit()).text == "250 2.0.0 Delivery in progress"
        [message] = hooks.messages
        assert message.lines == [
            b"Received: from client.example",
            b"Subject: x",
            b"",
            b"text",
            b"rest",
        ]

    def test_null(self) -> None:
        """The null reverse-path is an empty address; the next MAIL forgets recipients."""
        hooks = Hooks()
        taking = intake(hooks)
        run(taking.sender(CLIENT, Envelope()))
        run(taking.recipient(CLIENT, ENVELOPE, Recipient(Path("ann", "hub.example"))))
        run(taking.sender(CLIENT, Envelope()))
        run(taking.recipient(CLIENT, ENVELOPE, Recipient(Path("bob smith", "hub.example"))))
        run(taking.draft(CLIENT, ENVELOPE))
        assert hooks.asked[0][1] == ""
        assert len(hooks.messages) == 1

    @pytest.mark.parametrize(
        ("error", "reply"),
        [
            (smtp.SMTPBadSender("x"), "550 5.7.1 "),
            (smtp.SMTPBadSender("x", 553, "5.1.8 No"), "553 5.1.8 No"),
            (smtp.SMTPServerError(451, b"Later"), "451 4.7.1 Later"),
            (smtp.SMTPServerError(451, ""), "451 4.7.1 Refused"),
            (smtp.SMTPServerError(200, "What?"), "451 4.3.0 Requested action aborted"),
            (ValueError("secret"), "451 4.3.0 Requested action aborted"),
            (Refusal(554, "7.1", "Ours"), "554 5.7.1 Ours"),
        ],
    )
    def test_refused(self, error: Exception, reply: str) -> None:
        """Errors are the codes they carry; a bug is 451 without its text."""
        text = refusal(error)
        assert text.startswith(reply)
        assert "secret" not in text

    def test_bad_recipient(self) -> None:
        """So they are for recipients."""
        assert refusal(smtp.SMTPBadRcpt("x"), to=True).startswith("550 5.1.1 ")

    def test_cancelled(self) -> None:
        """A cancelled hook is no refusal."""
        with pytest.raises(CancelledError):
            run(intake(Hooks(CancelledError())).sender(CLIENT, ENVELOPE))

    def test_odd_address(self) -> None:
        """What Twisted's `Address` cannot hold is refused."""
        with pytest.raises(Refusal, match=r"553 5\.1\.3"):
            run(intake(Hooks()).sender(CLIENT, Envelope(Path('a"', "[IPv6:::1]"))))

    def test_no_message(self) -> None:
        """If one recipient's message cannot be made, those that were are given up."""
        hooks = Hooks()
        taking = intake(hooks)
        run(taking.sender(CLIENT, ENVELOPE))
        for local in ("ann", "bob"):
            run(taking.recipient(CLIENT, ENVELOPE, Recipient(Path(local, "hub.example"))))
        taking._users[1] = (taking._users[1][0], lambda: 1 / 0)
        with pytest.raises(Refusal, match="451"):
            run(taking.draft(CLIENT, ENVELOPE))
        assert hooks.messages[0].lost == 1


class TestDraft:
    def test_headless(self) -> None:
        """Content without a header is parted from the Received field above it."""
        message = Message()
        run(DeliveryDraft([message]).write(b"just text\r\n"))
        assert message.lines == [b"", b"just text"]

    def test_refused_line(self) -> None:
        """An error while lines come is the reply."""
        with pytest.raises(Refusal, match=r"552 5\.3\.0 Too bad"):
            run(DeliveryDraft([Message()]).write(b"A: b\r\nbad\r\n"))

    def test_refused_end(self) -> None:
        """So is one at the end."""
        good, bad = Message(), Message()
        bad.end = fail(smtp.SMTPServerError(554, "No"))
        with pytest.raises(Refusal, match=r"554 5\.3\.0 No"):
            run(DeliveryDraft([good, bad]).commit())

    def test_waits(self) -> None:
        """The reply waits for each of them."""
        message = Message()
        message.end = Deferred()
        done = Deferred.fromCoroutine(DeliveryDraft([message]).commit())
        assert not done.called
        message.end.callback(None)
        assert done.called

    def test_abort(self) -> None:
        """An aborted draft tells each, whatever they do about it."""
        messages = [Message(), Message()]
        run(DeliveryDraft(messages).abort())
        assert [message.lost for message in messages] == [1, 1]
