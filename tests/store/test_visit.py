r"""A visit: the mailbox below, with a ``\Seen`` and modification sequences of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.mail.flag import ANSWERED, FLAGGED, SEEN
from mailhub.mail.rights import Rights
from mailhub.ports.message import FlagAction, Placed, Stored, Uid
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.seen import SeenFile
from mailhub.store.visit import Visit
from tests.rig import run
from tests.store.world import Hub


async def no_copy(*_: object) -> Placed:
    raise AssertionError


def visit_of(world: Hub, base: SharedMailbox, who: str = "bob@hub.example") -> Visit:
    seen = SeenFile(world.files, who)
    made = Visit(base, seen, lambda: "Theirs", lambda: Rights("lrsw"), no_copy, lambda _: None)
    made.users = 1
    run(made.enter())
    return made


@pytest.fixture
def world(tmp_path: Path) -> Hub:
    made = Hub(tmp_path)
    made.append(b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n", flags=("\\Seen",))
    return made


def test_begins_unseen(world: Hub) -> None:
    r"""Nothing is seen by who has never been here; ``\Recent`` stays for the owner."""
    visit = visit_of(world, world.open())
    assert (visit.name, list(visit.uids), list(visit.flags)) == ("Theirs", [1, 2], [0, 0])
    assert visit.take_recent() == frozenset()
    assert world.open().take_recent() == {1, 2}


def test_seen_apart(world: Hub) -> None:
    r"""Each one's ``\Seen`` is its own, and lasts; the owner's is not touched."""
    base = world.open()
    bob = visit_of(world, base)
    eve = visit_of(world, world.open(), "eve@hub.example")
    assert run(bob.store([1], FlagAction.ADD, ["\\Seen"])).changed == (1,)
    assert list(bob.flags) == [SEEN, 0]
    assert list(eve.flags) == [0, 0]
    run(base.store([1, 2], FlagAction.REMOVE, ["\\Seen"]))
    assert list(bob.flags) == [SEEN, 0]
    run(bob.release())
    world.restart()
    again = visit_of(world, world.open())
    assert list(again.flags) == [SEEN, 0]
    run(again.store([1], FlagAction.REMOVE, ["\\Seen"]))
    assert list(again.flags) == [0, 0]


def test_replace(world: Hub) -> None:
    r"""Replacing flags replaces all of them, but for the owner's ``\Seen``."""
    base = world.open()
    visit = visit_of(world, base)
    run(visit.store([1, 2], FlagAction.ADD, ["\\Flagged", "label", "\\Seen"]))
    run(visit.store([1], FlagAction.REPLACE, ["\\Answered"]))
    assert list(visit.flags) == [ANSWERED, SEEN | FLAGGED | 1 << 5]
    assert list(base.flags) == [SEEN | ANSWERED, SEEN | FLAGGED | 1 << 5]
    run(visit.store([1], FlagAction.REPLACE, ["\\Seen"]))
    assert (visit.flags[0], base.flags[0]) == (SEEN, SEEN)


def test_modseqs(world: Hub) -> None:
    """Each change has a MODSEQ above all before, and none of them falls after a restart."""
    base = world.open()
    visit = visit_of(world, base)
    before = visit.highest_modseq
    run(visit.store([1], FlagAction.ADD, ["\\Seen"]))
    marked = visit.modseqs[0]
    assert before < marked == visit.highest_modseq
    run(base.store([1], FlagAction.ADD, ["\\Flagged"]))
    assert marked < visit.modseqs[0] == base.modseqs[0] == visit.highest_modseq
    run(visit.store([2], FlagAction.ADD, ["\\Seen"]))
    told = list(visit.modseqs)
    run(visit.release())
    world.restart()
    again = visit_of(world, world.open())
    assert list(again.modseqs) == told
    assert again.highest_modseq >= max(told)


def test_unchanged_since(world: Hub) -> None:
    """What has changed since, for the visitor or for all, is left alone (RFC 7162 §3.1.3)."""
    base = world.open()
    visit = visit_of(world, base)
    since = visit.highest_modseq
    run(visit.store([1], FlagAction.ADD, ["\\Seen"]))
    run(base.store([2], FlagAction.ADD, ["\\Flagged"]))
    flags = ["\\Answered", "\\Seen"]
    assert run(visit.store([1, 2], FlagAction.REPLACE, flags, since)) == Stored(
        (), (Uid(1), Uid(2))
    )
    assert list(visit.flags) == [SEEN, FLAGGED]
    now = visit.highest_modseq
    assert run(visit.store([1, 2], FlagAction.REPLACE, flags, now)) == Stored((Uid(1), Uid(2)), ())
    assert list(visit.flags) == [SEEN | ANSWERED, SEEN | ANSWERED]


def test_follows(world: Hub) -> None:
    """What happens below shows at once, and is told once."""
    base = world.open()
    visit = visit_of(world, base)
    run(visit.store([1, 2], FlagAction.ADD, ["\\Seen"]))
    cursor, heard = visit.cursor, []
    visit.watch(lambda: heard.append(len(visit.uids)))
    world.append(b"Subject: 3\r\n\r\n", flags=("\\Seen", "\\Flagged"))
    run(base.expunge([1]))
    assert heard == [3, 2]
    assert list(visit.flags) == [SEEN, FLAGGED]
    changes = visit.changes(cursor)
    assert changes is not None
    assert [uid for _, uid in changes] == [3, 1]
    assert visit.position(Uid(3)) == 1


def test_nothing_changes(world: Hub) -> None:
    """What is as it is wanted is no change."""
    visit = visit_of(world, world.open())
    assert run(visit.store([1, 7], FlagAction.REMOVE, ["\\Seen"])) == Stored()
    cursor = visit.cursor
    assert run(visit.see([7], seen=True)) == []
    assert visit.cursor == cursor


def test_two_sessions(world: Hub) -> None:
    """The last of the visitor's sessions lets go of the mailbox."""
    base = world.open()
    visit = visit_of(world, base)
    visit.users += 1
    run(visit.enter())
    run(visit.release())
    run(base.store([1], FlagAction.ADD, ["\\Flagged"]))
    assert visit.flags[0] == FLAGGED
    run(visit.release())
    run(base.store([2], FlagAction.ADD, ["\\Flagged"]))
    assert visit.flags[1] == 0


def test_reads(world: Hub) -> None:
    """Contents are the mailbox's."""
    visit = visit_of(world, world.open())
    content = run(visit.content(1))
    assert content is not None
    assert run(content.read()) == b"Subject: 1\r\n\r\n"
    assert run(visit.headers([2])) == [b"Subject: 2\r\n\r\n"]
