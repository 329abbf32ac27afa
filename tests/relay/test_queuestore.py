"""The mailbox of what was sent, beside the others: asked like them, changed by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hubs import ALICE, World, populated
from tests.relay.test_queuedesk import configured, imap, refuse, submit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = populated(tmp_path / "state")
    yield configured(made)
    made.stop()


def test_listed(world: World) -> None:
    """It is a mailbox like any other, and nothing of it is on disk."""
    peer = imap(world, "INBOX")
    assert '* LIST (\\HasNoChildren) "/" Queue' in peer.say('l LIST "" "*"\r\n')
    assert 'LSUB () "/" Queue' in peer.say('l LSUB "" "*"\r\n')
    assert "MESSAGES 0 UNSEEN 0" in peer.say("s STATUS Queue (MESSAGES UNSEEN)\r\n")
    assert not list((world.state / "mail").rglob(".Queue*"))


def test_rights_and_the_like(world: World) -> None:
    """It can be asked whatever other mailboxes can; what would change it is refused."""
    submit(world)
    refuse(world)
    peer = imap(world)
    assert "PERMANENTFLAGS (\\Seen \\Deleted)" in peer.say("s SELECT Queue\r\n")
    assert "* MYRIGHTS Queue lr" in peer.say("x MYRIGHTS Queue\r\n")
    assert "* ACL Queue " in peer.say("x GETACL Queue\r\n")
    assert "x OK" in peer.say("x GETMETADATA Queue /private/comment\r\n")
    assert '* QUOTAROOT Queue ""' in peer.say("x GETQUOTAROOT Queue\r\n")
    heard = peer.say('x LIST "" Queue RETURN (MYRIGHTS STATUS (MESSAGES))\r\n')
    assert "* MYRIGHTS Queue lr" in heard
    assert "* STATUS Queue (MESSAGES 1)" in heard
    for command in (
        "SETACL Queue bob@hub.example lr",
        "DELETEACL Queue bob@hub.example",
        'SETMETADATA Queue (/private/comment "x")',
    ):
        assert "x NO" in peer.say(f"x {command}\r\n"), command
    assert "x OK" in peer.say("x MYRIGHTS INBOX\r\n")


def test_read_only_by_nature(world: World) -> None:
    """Nothing is put there, and it is neither made, removed nor renamed."""
    submit(world, ALICE)
    world.reactor.pump([0.3, 0.0])
    peer = imap(world, "INBOX")
    for command in (
        "CREATE Queue",
        "DELETE Queue",
        "RENAME Sent Queue",
        "RENAME Queue Other",
        "UNSUBSCRIBE Queue",
        "COPY 1 Queue",
        "MOVE 1 Queue",
        "APPEND Queue {3+}\r\nabc",
    ):
        assert "x NO [CANNOT]" in peer.say(f"x {command}\r\n"), command
    assert "x OK" in peer.say("x SUBSCRIBE Queue\r\n")
    peer.say("s SELECT Queue\r\n")
    assert "x NO [NOPERM]" in peer.say("x STORE 1 +FLAGS (\\Flagged)\r\n")
    assert "x OK" in peer.say("x COPY 1 INBOX\r\n")
