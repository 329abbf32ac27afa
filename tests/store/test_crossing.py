"""Messages between accounts: what they take along, and what stays behind."""

from __future__ import annotations

import os
from pathlib import Path as FilePath

import pytest

from mailhub.mail.flag import DELETED, FLAGGED, SEEN
from mailhub.ports.store import StoreFault
from tests.rig import run
from tests.store.test_reach import ANNS, ONE, TWO, Hub, fault
from tests.store.world import TEXT


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    return Hub(tmp_path)


class TestFlags:
    def test_append(self, hub: Hub) -> None:
        r"""Flags without their right are left out; ``\Seen`` is the visitor's own."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lri"))
        hub.append(hub.bob, f"{ANNS}/Sent", "\\Seen", "\\Flagged", "\\Deleted", "Label")
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lriswt"))
        hub.append(hub.bob, f"{ANNS}/Sent", "\\Seen", "\\Flagged", "\\Deleted", "Label")
        hers, his = run(hub.ann.open("Sent")), run(hub.bob.open(f"{ANNS}/Sent"))
        assert list(hers.flags) == [0, FLAGGED | DELETED | 1 << 5]
        assert list(his.flags) == [0, SEEN | FLAGGED | DELETED | 1 << 5]

    def test_copy(self, hub: Hub) -> None:
        """Likewise for copies, both ways, and between two others'."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lrist"))
        for flags in (("\\Seen", "\\Flagged"), ()):
            hub.append(hub.bob, "INBOX", *flags)
        inbox = run(hub.bob.open("INBOX"))
        placed = run(inbox.copy([ONE, TWO], f"{ANNS}/Sent"))
        assert (placed.sources, placed.uids) == ((1, 2), (1, 2))
        hers, his = run(hub.ann.open("Sent")), run(hub.bob.open(f"{ANNS}/Sent"))
        assert list(hers.flags) == [0, 0]
        assert list(his.flags) == [SEEN, 0]
        run(his.copy([ONE, TWO], "Trash"))
        assert list(run(hub.bob.open("Trash")).flags) == [SEEN, 0]
        run(hub.eve.set_acl("INBOX", "bob@hub.example", "li"))
        run(his.move([ONE], "Other Users/eve@hub.example"))
        assert list(run(hub.eve.open("INBOX")).flags) == [0]
        assert list(hers.uids) == list(his.uids) == [2]
        assert fault(his.copy([TWO], "Other Users/eve@hub.example/Sent")) is StoreFault.NONEXISTENT

    def test_an_index_that_is_gone(self, hub: Hub) -> None:
        """Whether the visitor has seen what he brings is found out, though it was lost."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lris"))
        hub.append(hub.bob, "INBOX", "\\Seen")
        inbox = run(hub.bob.open("INBOX"))
        for path in FilePath(os.fsdecode(hub.bob._own.path)).glob("mailhub-index*"):
            path.unlink()
        run(inbox.copy([ONE], f"{ANNS}/Sent"))
        assert list(run(hub.bob.open(f"{ANNS}/Sent")).flags) == [SEEN]

    def test_contents_arrive(self, hub: Hub) -> None:
        """What crosses over is the message."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lri"))
        hub.append(hub.bob, "INBOX")
        run(run(hub.bob.open("INBOX")).move([ONE], f"{ANNS}/Sent"))
        content = run(run(hub.ann.open("Sent")).content(ONE))
        assert content is not None
        assert run(content.read()) == TEXT
        assert list(run(hub.bob.open("INBOX")).uids) == []

    def test_status(self, hub: Hub) -> None:
        r"""STATUS counts what the visitor has not seen."""
        run(hub.ann.set_acl("Sent", "bob@hub.example", "lris"))
        hub.append(hub.ann, "Sent", "\\Seen")
        hub.append(hub.bob, f"{ANNS}/Sent", "\\Seen")
        assert run(hub.ann.status("Sent")).unseen == 1
        assert run(hub.bob.status(f"{ANNS}/Sent")).unseen == 1
        assert run(hub.bob.status(f"{ANNS}/Sent")).recent == 0
