"""Recipients of a waiting message, corrected and added: aliases of ours among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import secret
from mailhub.accounts.record import address
from mailhub.ports.outgoing import QueueId
from tests.cli.conftest import CHEAP, Mailhub
from tests.cli.test_queue import loaded, stored


@pytest.fixture
def waiting(state: Path) -> QueueId:
    with Accounts(state / "accounts.db") as accounts:
        for name in ("ann", "bob"):
            accounts.add_account(address(f"{name}@hub.example"), secret("x", CHEAP, bytes))
        members = [address(it) for it in ("ann@hub.example", "bob@hub.example", "x@far.example")]
        accounts.add_alias(address("team@hub.example"), members)
    return stored(state, 1 << 20, "ann@hub.example", "wrong@far.example", "eve@far.example")


def paths(state: Path, queue_id: QueueId) -> list[tuple[str, bool]]:
    item = loaded(state, queue_id)
    assert item is not None
    recipients = zip(item.envelope.recipients, item.places, strict=True)
    return [(str(it.path), place is not None) for it, place in recipients]


def test_changed(mailhub: Mailhub, state: Path, waiting: QueueId) -> None:
    """An alias in place of an address: its members, ours into their mailboxes."""
    change = ("--change", "wrong@far.example", "team@hub.example")
    said = mailhub("--state", str(state), "queue", "edit", waiting, *change)
    assert said.out == "3 recipients changed\n"
    assert paths(state, waiting) == [
        ("ann@hub.example", True),
        ("eve@far.example", False),
        ("bob@hub.example", True),
        ("x@far.example", False),
    ]


def test_added(mailhub: Mailhub, state: Path, waiting: QueueId) -> None:
    """An account, an alias, and somebody elsewhere."""
    add = ("--add", "bob+news@hub.example", "--add", "new@far.example")
    assert mailhub("--state", str(state), "queue", "edit", waiting, *add).status == 0
    assert paths(state, waiting)[2:] == [("bob@hub.example", True), ("new@far.example", False)]


def test_nobody(mailhub: Mailhub, state: Path, waiting: QueueId) -> None:
    """One who does not exist here is refused in one line, and nothing is changed."""
    said = mailhub("--state", str(state), "queue", "edit", waiting, "--add", "no@hub.example")
    assert said.status == 1
    assert "no@hub.example: 550 5.1.1" in said.err
    assert len(paths(state, waiting)) == 2
