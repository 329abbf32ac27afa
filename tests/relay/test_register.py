"""The register of refusals of a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.policy.refused import EACH, WINDOW, Refused
from mailhub.policy.rule import Rule
from mailhub.ports.conversation import Client, Tls
from mailhub.relay.register import WAIT, Register
from tests.policy.test_access import USER
from tests.rig import InlineDisk, run

CLIENT = Client("192.0.2.1", 25, helo="client.example", tls=Tls("TLSv1.3", "AES", lambda _: None))
SENDER = Envelope(Path("a", "far.example"))
NO = Refusal(550, "7.1", "Relaying denied").by(Rule("smtp", "trusted networks"))


class Book:
    """What was written."""

    def __init__(self) -> None:
        self.rows: list[Refused] = []
        self.before = 0.0
        self.fault: OSError | None = None

    def write(self, refused: Sequence[Refused], before: float) -> None:
        if self.fault is not None:
            raise self.fault
        self.rows += refused
        self.before = before


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def register(clock: Clock, book: Book) -> Register:
    return Register(book, InlineDisk(), clock, lambda: 5000 + clock.seconds(), 1000.0, str)


def guess(register: Register, number: int, client: Client = CLIENT) -> None:
    register.note(client, "RCPT", NO, SENDER, Path(f"x{number}", "else.example"))


def test_written(clock: Clock, book: Book, register: Register) -> None:
    """A moment later, with all that is known."""
    guess(register, 1)
    assert book.rows == []
    clock.advance(WAIT)
    assert book.rows == [
        Refused(
            5000.0, 5000.0, 1, "RCPT", "192.0.2.1", "client.example", "TLSv1.3 AES", "",
            "a@far.example", "x1@else.example", "550 5.7.1 Relaying denied",
            "[smtp] trusted networks",
        )
    ]  # fmt: skip
    assert book.before == 4002.0
    assert clock.getDelayedCalls() == []


def test_logins(clock: Clock, book: Book, register: Register) -> None:
    """Of a login nothing is known but who tries; of those who have logged in, who they are."""
    register.note(Client("192.0.2.1", 1), "AUTH", Refusal(535, "7.8", "No"))
    register.note(USER, "MAIL", Refusal(452, "7.1", "Too much"), SENDER)
    clock.advance(WAIT)
    assert [(it.sender, it.account, it.rule) for it in book.rows] == [
        (None, "", "None"),
        ("a@far.example", "alice@hub.example", "None"),
    ]


def test_abuse(clock: Clock, book: Book, register: Register) -> None:
    """Guesses without end make few rows; their number is written when the window ends."""
    for number in range(500):
        guess(register, number)
        clock.advance(0.01)
    clock.advance(WAIT)
    assert len(book.rows) == EACH
    clock.advance(WINDOW)
    assert len(book.rows) == EACH + 1
    assert book.rows[-1].count == 500 - EACH
    assert clock.getDelayedCalls() == []


def test_soon_after_the_window_began(clock: Clock, book: Book, register: Register) -> None:
    """A timer for the end of the window keeps nobody else waiting."""
    for number in range(EACH + 1):
        guess(register, number)
    clock.advance(WAIT)
    guess(register, 99, replace(CLIENT, address="192.0.2.2"))
    clock.advance(WAIT)
    assert book.rows[-1].address == "192.0.2.2"
    run(register.stop())
    assert book.rows[-1].count == 1
    assert len(book.rows) == EACH + 2


def test_stopped(clock: Clock, book: Book, register: Register) -> None:
    """What waits is written at the end."""
    guess(register, 1)
    run(register.stop())
    assert len(book.rows) == 1
    assert clock.getDelayedCalls() == []


def test_a_slow_disk(clock: Clock, book: Book) -> None:
    """One batch is written at a time, and the end waits for it."""
    turns: list[Deferred[None]] = []

    class Disk(InlineDisk):
        async def run(self, function, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            turns.append(Deferred())
            await turns[-1]
            return function(*args, **kwargs)

    register = Register(book, Disk(), clock, clock.seconds, 1000.0, str)
    guess(register, 1)
    clock.advance(WAIT)
    guess(register, 2)
    clock.advance(WAIT)
    assert len(turns) == 1
    stopping = Deferred.fromCoroutine(register.stop())
    turns[0].callback(None)
    turns[1].callback(None)
    assert stopping.called
    assert len(book.rows) == 2


def test_a_bad_disk(clock: Clock, book: Book, register: Register) -> None:
    """What cannot be written is lost, and the next is written again."""
    book.fault = OSError(28, "No space left on device")
    guess(register, 1)
    clock.advance(WAIT)
    book.fault = None
    guess(register, 2)
    clock.advance(WAIT)
    assert [it.recipient for it in book.rows] == ["x2@else.example"]


def test_switched_off(clock: Clock, register: Register) -> None:
    """Where no journey is kept, no refusal is."""
    register.obey(0.0, str)
    guess(register, 1)
    assert clock.getDelayedCalls() == []
