"""UIDs that messages have got since they were delivered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import secret
from mailhub.accounts.record import address
from mailhub.cli.numbered import numbered
from mailhub.cli.place import Place
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Complained, Event, Filed
from mailhub.queue.ids import unique_part
from mailhub.store import name
from tests.cli.conftest import CHEAP

QUEUE_ID = QueueId("d21m6d8nes8h")
BOB = "bob@hub.example"


@pytest.fixture
def maildir(state: Path) -> Path:
    with Accounts(state / "accounts.db") as accounts:
        made = accounts.add_account(address(BOB), secret("x", CHEAP, bytes))
    return state / made.maildir


def put(mailbox: Path, number: int, uid: int = 0) -> None:
    """A message of the item in a maildir, with a UID or as it was delivered."""
    stem = name.make_stem(1000.5, unique_part(QUEUE_ID, number), "hub.example")
    part, file = (b"cur", name.numbered(stem, 10, uid)) if uid else (b"new", stem + b",S=10")
    directory = os.path.join(os.fsencode(mailbox), part)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, file), "wb"):
        pass


def filed(number: int, mailbox: str = "INBOX", uid: int = 0) -> Filed:
    return Filed(1.0, number, BOB, mailbox, uid)


def seen(state: Path, *events: Event) -> list[Event]:
    return numbered(Place(str(state), None), QUEUE_ID, events)


def test_of_each_recipient(state: Path, maildir: Path) -> None:
    """Each copy has the UID that its mailbox gave it; other events stay as they are."""
    put(maildir, 0, 17)
    put(maildir, 1, 18)
    put(maildir / ".Gr&APwA3w-e", 2, 5)
    complaint = Complained(2.0, "far.example", "abuse")
    found = seen(state, filed(0), complaint, filed(1), filed(2, "Grüße"), filed(3, uid=9))
    uids = [it.uid if isinstance(it, Filed) else None for it in found]
    assert uids == [17, None, 18, 5, 9]
    assert found[1] == complaint


def test_none(state: Path, maildir: Path) -> None:
    """No UID is told where nobody has opened the mailbox, or the message has left it."""
    put(maildir, 0)
    put(maildir / ".Archive", 1, 3)
    events = [filed(0), filed(1), filed(2, "Gone"), Filed(1.0, 0, "eve@hub.example", "INBOX")]
    assert seen(state, *events) == events


def test_nothing_filed(tmp_path: Path) -> None:
    """Where there is nothing to find out the state directory is left alone."""
    events: list[Event] = [Complained(2.0, "far.example", "abuse"), filed(0, uid=3)]
    assert seen(tmp_path / "absent", *events) == events
