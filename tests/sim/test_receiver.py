"""Receiving providers, as a client meets them."""

from __future__ import annotations

import pytest

from mailhub.sim.manners import Certificate, Outage, Pipelining, Rate, Stage, Why, Window
from mailhub.sim.memory import Refused
from mailhub.sim.receiver import Conversation, Message, NoBooks, Receiver, afterwards
from tests.sim.post import Post


def test_a_message() -> None:
    """A message is taken, whole and unchanged."""
    post = Post()
    talker = post.call()
    assert talker.octets.startswith(b"220 mx.far.example")
    assert post.send("ann@far.example", "bob@far.example", talker=talker) == [
        *("250", "250", "250", "354", "250"),
    ]
    [(message, heard)] = post.books.taken
    assert heard
    assert message.sender == "sender@here.example"
    assert message.recipients == ["ann@far.example", "bob@far.example"]
    assert message.content == b"Subject: x\r\n\r\nhello\r\n"
    assert message.source == post.client.addresses[0]
    assert post.say(talker, "QUIT\n") == ["221 2.0.0 Bye"]
    assert talker.lost is not None
    assert post.books.open == [1, 0]


def test_octet_by_octet() -> None:
    """What is said does not depend on how it is cut."""
    post = Post()
    talker = post.call()
    post.say(talker, "EHLO x\n")
    for letter in "MAIL FROM:<>\nRCPT TO:<a@far.example>\nDATA\n.\n":
        talker.transport.write(letter.replace("\n", "\r\n").encode())
        post.world.run(0.1)
    assert talker.octets.count(b"\r\n250 2.") + talker.octets.startswith(b"250 2.") >= 2
    assert post.books.taken[0][0].content == b""


def test_order() -> None:
    """Commands out of order, and those that nobody knows, are refused."""
    post = Post()
    talker = post.call()
    heard = post.say(talker, "RCPT TO:<a@b>\nDATA\nVRFY x\nNOOP\nRSET\nMAIL FROM\nAUTH PLAIN x\n")
    assert [line[:3] for line in heard] == ["503", "503", "502", "250", "250", "501", "235"]
    assert post.say(talker, "x" * 5000) == ["500 5.5.2 Line too long"]


def test_refusals() -> None:
    """Each refusal has its reply, and is counted."""
    post = Post(unknown=1.0)
    assert post.send() == ["250", "550", "503"]
    assert Post(full=1.0).send() == ["250", "452", "503"]
    assert Post(greylist=60.0).send() == ["250", "451", "503"]
    assert Post(recipients=1).send("a@far.example", "b@far.example") == [
        *("250", "250", "452", "354", "250"),
    ]
    assert post.books.refusals == [Why.UNKNOWN]


def test_size() -> None:
    """A message that is announced as too big is refused at once."""
    post = Post(size=1000)
    talker = post.call()
    assert "250-SIZE 1000" in post.say(talker, "EHLO x\n")
    assert post.say(talker, "MAIL FROM:<a@b> SIZE=2000\n") == ["552 5.3.4 Too big"]


def test_the_rate() -> None:
    """A sender that is too fast is told so, and a 421 closes the connection."""
    post = Post(rate=Rate(2, 3600.0))
    assert [post.send()[0] for _ in range(4)] == ["250", "250", "451", "451"]
    assert post.books.refusals == [Why.RATE, Why.RATE]


def test_too_many_connections() -> None:
    """One connection too many is told so in place of a greeting, and closed."""
    post = Post(connections=2)
    talkers = [post.call() for _ in range(3)]
    assert [talker.octets[:3] for talker in talkers] == [b"220", b"220", b"421"]
    assert talkers[2].lost is not None
    post.say(talkers[0], "QUIT\n")
    assert post.call().octets[:3] == b"220"


def test_messages_per_connection() -> None:
    """After so many messages the connection ends without a word."""
    post = Post(messages=2)
    talker = post.call()
    assert post.send(talker=talker)[-1] == "250"
    assert post.send(talker=talker)[-2:] == ["250", ""]


@pytest.mark.parametrize("stage", list(Stage))
def test_drops(stage: Stage) -> None:
    """A connection is dropped at each stage; what was not answered was not taken."""
    post = Post(drops=((stage, 1.0),))
    assert post.send()[-1] == ""
    assert post.books.taken == []
    assert Why.FAULTS in post.books.refusals


def test_lost_replies() -> None:
    """The message is there, and its sender does not know."""
    post = Post(lost_replies=1.0)
    assert post.send() == ["250", "250", "354", ""]
    [(_, heard)] = post.books.taken
    assert not heard


def test_a_tarpit() -> None:
    """Each reply takes its time, and nothing is lost by that."""
    post = Post(tarpit=10.0)
    assert post.call().octets == b""
    talker = post.call()
    post.world.run(20)
    assert post.send(talker=talker, wait=60)[-1] == "250"


def test_capacity() -> None:
    """Above its capacity a provider answers late."""
    post = Post(capacity=Rate(1, 10.0))
    talkers = [post.call() for _ in range(3)]
    codes = [post.send(talker=talker)[-1] for talker in talkers]
    assert codes == ["354", "354", "354"]
    post.world.run(60)
    assert all(talker.octets.endswith(b"250 2.0.0 Ok, taken\r\n") for talker in talkers)
    assert Why.CAPACITY in post.books.refusals


def test_pipelining() -> None:
    """It is offered or not; where it is disordered, replies change places."""
    post = Post(pipelining=Pipelining.NO)
    assert "250-PIPELINING" not in post.say(post.call(), "EHLO x\n")
    post = Post(pipelining=Pipelining.DISORDERED)
    talker = post.call()
    heard = post.say(talker, "MAIL FROM:<a@b>\nRCPT TO:<c@far.example>\nDATA\n")
    assert [line[:3] for line in heard] == ["250", "354", "250"]


def test_a_busy_outage() -> None:
    """A provider that is busy says so for a while."""
    post = Post(outages=(Window(10, 100),), outage=Outage.BUSY)
    assert post.call().octets[:3] == b"220"
    post.world.run(10)
    assert post.call().octets[:3] == b"421"
    assert post.books.refusals == [Why.OUTAGE]
    post.world.run(100)
    assert post.call().octets[:3] == b"220"


def test_tls_that_is_not_there() -> None:
    """STARTTLS may be offered and refused."""
    post = Post(tls=Certificate.REFUSED)
    talker = post.call()
    assert "250 STARTTLS" in [line.replace("-", " ") for line in post.say(talker, "EHLO x\n")]
    assert post.say(talker, "STARTTLS\n") == ["454 4.7.0 TLS not available"]


def test_what_comes_afterwards() -> None:
    """Some messages bounce or are complained of, the same ones every time."""
    post = Post(bounces=0.2, complaints=0.2)
    recipients = [f"u{number}@far.example" for number in range(100)]
    message = Message("192.0.2.1", "s@x", recipients, b"")
    found = afterwards(post.receiver, message)
    kinds = [kind for kind, _ in found]
    assert 5 < kinds.count("bounce") < 40
    assert 5 < kinds.count("complaint") < 40
    assert found == afterwards(post.receiver, message)


class Moody(Receiver):
    """Refuses every second message."""

    def judge_mail(self, talk: Conversation) -> Refused | None:
        if self.count % 2:
            self.count += 1
            return Refused(self.manners.says_rate, Why.OTHER)
        return super().judge_mail(talk)


def test_a_model_of_ones_own() -> None:
    """A provider may be a class."""
    post = Post(model="tests.sim.test_receiver:Moody")
    assert type(post.receiver).__name__ == "Moody"
    assert [post.send()[0] for _ in range(3)] == ["250", "451", "250"]
    NoBooks().refused(post.receiver, Why.OTHER, 1, 0.0)
