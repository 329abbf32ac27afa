"""What is true of a mailbox now, and what happened lately."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from mailhub.ports.message import FlagAction
from mailhub.store.box import Delta
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.rows import Columns, Row, columns
from mailhub.store.state import difference
from tests.rig import run
from tests.store.world import TEXT, Hub


class TestState:
    def test_woken_at_once(self, tmp_path: Path) -> None:
        """All who watch are woken by each change, until they stop."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        seen: list[tuple[int, int]] = []
        watchers = [partial(lambda n: seen.append((n, len(mailbox.uids))), n) for n in range(2)]
        for woken in watchers:
            mailbox.watch(woken)
        hub.deliver("a")
        assert seen == [(0, 1), (1, 1)]
        mailbox.unwatch(watchers[0])
        mailbox.unwatch(watchers[0])
        run(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        assert seen[2:] == [(1, 1)]
        run(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        run(mailbox.refresh())
        assert len(seen) == 3

    def test_position(self, tmp_path: Path) -> None:
        """Positions are those in the arrays."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()
        run(mailbox.expunge([2]))
        assert [mailbox.position(uid) for uid in (0, 1, 2, 3, 4)] == [None, 0, None, 1, None]

    @given(st.sets(st.integers(1, 60), max_size=60))
    @example(set(range(5, 50)))
    def test_removal(self, gone: set[int]) -> None:
        """Few or many go: the arrays stay parallel."""
        mailbox = _bare()
        mailbox.apply(Delta(added=[Row(uid, b"", uid, uid, uid, uid, 0) for uid in range(1, 61)]))
        mailbox.apply(Delta(removed=sorted(gone)))
        left = [uid for uid in range(1, 61) if uid not in gone]
        for column in mailbox.columns:
            assert list(column) == left
        assert mailbox.uids is mailbox.columns.uids

    def test_unknown_message(self) -> None:
        """What is not there cannot change."""
        mailbox = _bare()
        mailbox.apply(Delta(removed=[5], changed=[(6, 1, 1)]))
        assert mailbox.changes(0) == []


def testdifference() -> None:
    """From one state to another: what went, what changed, what came."""
    old, new = _columns(1, 2, 3), _columns(2, 3, 9)
    new.flags[0] = 7
    delta = difference(old, new)
    assert (delta.removed, delta.changed) == ([1], [(2, 7, 1)])
    assert delta.added == [Row(9, b"", 0, 1, 1, 1, 0)]


def _columns(*uids: int) -> Columns:
    found = columns()
    for uid in uids:
        for column, value in zip(found, (uid, 0, 1, 1, 1), strict=True):
            column.append(value)
    return found


def _bare() -> SharedMailbox:
    with TemporaryDirectory() as path:
        mailbox = Hub(Path(path)).store.mailbox("INBOX")
    mailbox.loaded = True
    return mailbox
