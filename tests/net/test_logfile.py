"""The lines of one turn are written together, and none is lost at the end."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailhub.net.logfile import TurnFile


class Loop(Clock):
    """A loop that runs, or does not."""

    running = True


class File:
    """Remembers each write, and how many of them reached the disk."""

    def __init__(self) -> None:
        self.written: list[str | bytes] = []
        self.flushed = 0

    def write(self, text: str | bytes) -> None:
        self.written.append(text)

    def flush(self) -> None:
        self.flushed = len(self.written)


def say(file: TurnFile, *lines: str | bytes) -> None:
    """As an observer does it."""
    for line in lines:
        file.write(line)
        file.flush()


def test_together() -> None:
    """What is said in one turn is one write, in order; the next turn has its own."""
    loop, file = Loop(), File()
    log = TurnFile(file, loop)
    say(log, "a\n", "b\n")
    assert not file.written
    loop.advance(0)
    say(log, "c\n")
    loop.advance(0)
    assert file.written == ["a\nb\n", "c\n"]
    assert file.flushed == 2
    assert not loop.getDelayedCalls()


def test_octets() -> None:
    """A file that takes octets gets them."""
    loop, file = Loop(), File()
    say(TurnFile(file, loop), b"a\n", b"b\n")
    loop.advance(0)
    assert file.written == [b"a\nb\n"]


def test_without_a_loop() -> None:
    """Before the start and after the end each line is there at once, behind what waited."""
    loop, file = Loop(), File()
    log = TurnFile(file, loop)
    say(log, "amid the last turn\n")
    loop.running = False
    say(log, "Server Shut Down.\n")
    say(log, "and more\n")
    assert file.written == ["amid the last turn\nServer Shut Down.\n", "and more\n"]
    loop.advance(0)
    assert file.written[2:] == []
