"""Threads that are kept."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Sequence
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import conversations, threads
from mailhub.ports.finding import Conversation, Threadable
from tests.imap.test_threads import message, said

T = TypeVar("T")

LETTERS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.lists(st.integers(1, 9), max_size=3),
        st.sampled_from(["", "A", "B", "C"]),
        st.booleans(),
    ),
    max_size=14,
)
ALGORITHMS = st.sampled_from(sorted(conversations.ALGORITHMS))


def letters(drawn: list[tuple[int, list[int], str, bool]]) -> list[Threadable]:
    return [
        message(uid, own, refers, base, reply=reply)
        for uid, (own, refers, base, reply) in enumerate(drawn, 1)
    ]


def ended(working: Generator[None, None, T]) -> T:
    while True:
        try:
            next(working)
        except StopIteration as stop:
            value: T = stop.value
            return value


def conversed(algorithm: str, messages: Sequence[Threadable]) -> list[Conversation]:
    order = sorted(range(len(messages)), key=lambda place: messages[place].uid)
    return ended(conversations.converse(algorithm, messages, order))


def spoken(kept: Sequence[Conversation], members: int = 3) -> str:
    parts = conversations.parts(kept, members)
    return b"".join(shape % tuple(uids) for shape, uids in parts).decode()


@given(LETTERS, ALGORITHMS)
def test_same(drawn: list[tuple[int, list[int], str, bool]], algorithm: str) -> None:
    """In their order they are what THREAD says, and hold each message once."""
    messages = letters(drawn)
    kept = conversed(algorithm, messages)
    assert kept == sorted(kept)
    assert spoken(kept) == said(algorithm, messages)
    known = array("I", b"".join(it.uids for it in kept))
    assert sorted(known) == [it.uid for it in messages]


@given(LETTERS, ALGORITHMS)
def test_clusters_are_independent(
    drawn: list[tuple[int, list[int], str, bool]], algorithm: str
) -> None:
    """A cluster alone is arranged as it is among the others."""
    messages = letters(drawn)
    kept = conversed(algorithm, messages)
    alone: list[Conversation] = []
    for cluster in {it.cluster for it in kept}:
        _, uids = conversations.touched(kept, {cluster})
        assert min(uids) == cluster
        alone += conversed(algorithm, [it for it in messages if it.uid in uids])
    assert sorted(alone) == kept


def test_clusters() -> None:
    """Ids and base subjects join, however indirectly; an empty subject or no id does not."""
    found = conversations.clusters(
        [
            message(1, 1),
            message(2, 2, base="A"),
            message(3, 3, [1]),
            message(4),
            message(5),
            message(6, 6, [3], "A"),
            message(8, 8),
        ]
    )
    assert ended(found) == [1, 1, 1, 4, 5, 1, 8]


def test_stale() -> None:
    """What came and what left; nothing is believed where a message stands twice."""
    kept = conversed("REFS", [message(1, 1), message(2, 2, [1]), message(3, 3)])
    assert conversations.stale(kept, {1, 2, 3}) == (frozenset(), frozenset())
    assert conversations.stale(kept, {1, 3, 7}) == ({7}, {2})
    assert conversations.stale([*kept, kept[0]], {1, 2, 3}) is None
    assert conversations.stale([], {1}) is None


def test_names() -> None:
    """Of few new messages all ids and subjects are asked for, of many none."""
    found = conversations.names([message(1, 0, [], "A"), message(2, 5, [6])])
    assert found is not None
    assert found[0] == {b"\0" * 7 + b"\5", b"\0" * 7 + b"\6"}
    assert found[1] == {"A"}
    assert conversations.names([message(1, 1, range(2, 30))]) is None


def test_worth_keeping() -> None:
    """Messages that speak of a hundred strangers each are not kept."""
    assert conversations.worth_keeping([message(n, n, [1]) for n in range(1, 50)])
    assert not conversations.worth_keeping(
        [message(n, n, range(n * 100, n * 100 + 50)) for n in range(1, 50)]
    )


def test_long_thread() -> None:
    """A thread of any length is one conversation, and there are breathing points."""
    count = 3 * threads.STEP
    chain = [message(n, n, [n - 1] if n > 1 else []) for n in range(1, count + 1)]
    [kept] = conversed("REFERENCES", chain)
    assert len(array("I", kept.uids)) == count
    assert spoken([kept]) == said("REFERENCES", chain)
