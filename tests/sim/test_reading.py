"""All of an account's mail, as programs see it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.sim import reading
from mailhub.sim.hub import SimHub
from mailhub.sim.reading import Refused, Shelf, Talk
from mailhub.sim.world import World
from tests.sim.machines import hub, submit


def awaited(world: World, coroutine: Any) -> Any:
    """What comes of a coroutine within a minute."""
    done: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(done.append)
    world.run_until(lambda: done, 60)
    [result] = done
    return result


def started(world: World) -> SimHub:
    made = hub(world, "one.example")
    made.start()
    for number in range(2):
        submit(world, made.host, "", "ann@one.example", text=f"letter {number}")
    return made


def test_by_imap() -> None:
    """Mailboxes with something in them: UIDs, flags, octets, and nothing wrong."""
    with World() as world:
        made = started(world)
        shelves = awaited(world, reading.by_imap(made.host, "ann@one.example", "secret"))
        assert list(shelves) == ["INBOX"]
        inbox: Shelf = shelves["INBOX"]
        assert list(inbox.messages) == [1, 2]
        assert inbox.uid_next == 3
        assert inbox.validity
        assert all(octets.endswith(b"letter 1\r\n") for octets in [inbox.messages[2]])
        assert inbox.faults == []


def test_by_pop3() -> None:
    """The same, under their unique-ids."""
    with World() as world:
        made = started(world)
        shelves = awaited(world, reading.by_imap(made.host, "ann@one.example", "secret"))
        found, faults = awaited(world, reading.by_pop3(made.host, "ann@one.example", "secret"))
        assert list(found.values()) == list(shelves["INBOX"].messages.values())
        assert faults == []


def test_a_mailbox_apart() -> None:
    """What is not to be read is not."""
    with World() as world:
        made = started(world)
        found = awaited(world, reading.by_imap(made.host, "ann@one.example", "secret", ["INBOX"]))
        assert found == {}


@pytest.mark.parametrize("read", [reading.by_imap, reading.by_pop3])
def test_a_wrong_password(read: Any) -> None:
    """A no is told."""
    with World() as world:
        made = started(world)
        failure = awaited(world, read(made.host, "ann@one.example", "wrong"))
        assert failure.check(Refused)


class Server:
    """The other side of a conversation: says what it is given."""

    def __init__(self, talk: Talk) -> None:
        self.said = b""
        talk.transport = self

    def write(self, octets: bytes) -> None:
        self.said += octets


def test_what_is_forbidden() -> None:
    """A UID twice, a size that is not the octets', another's tag."""
    talk = Talk()
    Server(talk)
    done: list[Any] = []
    Deferred.fromCoroutine(reading._shelf(talk, "INBOX")).addBoth(done.append)
    talk.dataReceived(b"* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\na1 OK x\r\n")
    one = b"* 1 FETCH (UID 3 FLAGS (\\Seen) RFC822.SIZE %d BODY[] {2}\r\nhi)\r\n"
    talk.dataReceived(one % 2 + one % 5 + b"a2 OK x\r\n")
    [shelf] = done
    assert (shelf.validity, shelf.uid_next) == (7, 9)
    assert shelf.faults == ["UID 3 behind 3", "UID 3 has 2 octets, and not 5"]
    assert shelf.flags == {3: frozenset({"\\Seen"})}
    Deferred.fromCoroutine(talk.command("NOOP")).addBoth(done.append)
    talk.dataReceived(b"a2 OK x\r\n")
    assert done[-1].check(Refused)
