"""A mailbox's recent history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.ports.message import Change
from mailhub.store.changes import Changes

RUNS = st.lists(
    st.tuples(st.sampled_from(Change), st.lists(st.integers(1, 99), max_size=5)), max_size=12
)


@given(RUNS, st.integers(0, 60), st.integers(0, 70))
def test_against_a_list(runs: list[tuple[Change, list[int]]], limit: int, cursor: int) -> None:
    """What is remembered is the end of the whole history, or the asker is told it is too old."""
    changes, all_of_them = Changes(), []
    for change, uids in runs:
        changes.add(change, uids)
        all_of_them += [(change, uid) for uid in uids]
        changes.trim(limit)
    assert changes.cursor == len(all_of_them)
    since = changes.since(cursor)
    if since is None:
        assert cursor < len(all_of_them) - limit
    else:
        assert since == all_of_them[cursor:]


def test_memory_is_bounded() -> None:
    """Many changes leave about `limit` entries."""
    changes = Changes()
    for uid in range(1, 5000):
        changes.add(Change.FLAGGED, [uid])
        changes.trim(100)
    assert len(changes._runs) == 100
    assert changes.since(10) is None
    assert changes.since(4999) == []
