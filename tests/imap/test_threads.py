"""THREAD: the RFC's own examples, a model by recursion, and hostile references."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.threads import ALGORITHMS, FAN, STEP, Forest, pieces, threaded
from mailhub.ports.finding import Threadable


def message(
    uid: int, own: int = 0, refers: Sequence[int] = (), base: str = "", *, reply: bool = False
) -> Threadable:
    ids = b"".join(struct.pack(">Q", number) for number in (own, *refers))
    return Threadable(uid, uid, reply, base, ids)


def arrange(algorithm: str, messages: Sequence[Threadable]) -> tuple[Forest, int]:
    """The forest, and the number of steps that it took."""
    order = sorted(range(len(messages)), key=lambda place: (messages[place].uid, place))
    working = threaded(algorithm, messages, order)
    steps = 0
    while True:
        try:
            next(working)
        except StopIteration as ended:
            return ended.value, steps
        steps += 1


def said(algorithm: str, messages: Sequence[Threadable]) -> str:
    forest, _ = arrange(algorithm, messages)
    return b"".join(pieces(forest, [it.uid for it in messages])).decode()


class TestReferences:
    def test_links(self) -> None:
        """A reply hangs below what it answers, a missing message holds its answers together."""
        assert said("REFERENCES", [message(1, 1), message(2, 2, [1]), message(3, 3, [1, 2])]) == (
            "(1 2 3)"
        )
        assert said("REFERENCES", [message(1, 1, [9]), message(2, 2, [9])]) == "((1)(2))"
        assert said("REFERENCES", [message(1, 1, [8, 9])]) == "(1)"
        assert said("REFERENCES", [message(1, 1), message(2, 2, [1, 8, 9])]) == "(1 2)"
        assert said("REFERENCES", [message(1, 1), message(2, 2, [1]), message(3, 3, [1])]) == (
            "(1 (2)(3))"
        )

    def test_same_id(self) -> None:
        """Of several with one id the first has it (RFC 5256 §3, step 1)."""
        assert said("REFS", [message(1, 1), message(2, 1), message(3, 3, [1])]) == "(2)(1 3)"

    def test_truncated(self) -> None:
        """A message's own last reference counts for more than what others say of it."""
        letters = [message(1, 1), message(2, 2), message(3, 3, [1, 4]), message(4, 4, [2])]
        assert said("REFS", letters) == "(1)(2 4 3)"

    def test_ring(self) -> None:
        """A link that would close a ring is not made."""
        letters = [message(1, 1, [2]), message(2, 2, [1]), message(3, 3, [3])]
        assert said("REFS", letters) == "(2 1)(3)"
        # What is left without a parent so is not put below whom others name (step 1.B)
        letters = [message(1, 1), message(2, 2, [1, 3]), message(3, 3, [2])]
        assert said("REFS", letters) == "(1)(3 2)"

    def test_subjects(self) -> None:
        """Threads with one subject are joined (step 5)."""
        a, b = message(1, 1, base="A"), message(2, 2, base="A", reply=True)
        assert said("REFERENCES", [a, b]) == "(1 2)"
        assert said("REFS", [a, b]) == "(1)(2)"
        both = [message(1, 1, base="A"), message(2, 2, base="A")]
        assert said("REFERENCES", both) == "((1)(2))"
        replies = [message(1, 1, base="A", reply=True), message(2, 2, base="A")]
        assert said("REFERENCES", replies) == "(2 1)"
        dummies = [message(1, 1, [8], "A"), message(2, 2, [8], "A"), message(3, 3, base="A")]
        assert said("REFERENCES", dummies) == "((1)(2)(3))"
        dummies = [*dummies, message(4, 4, [9], "A"), message(5, 5, [9], "A")]
        assert said("REFERENCES", dummies) == "((1)(2)(3)(4)(5))"
        assert said("REFERENCES", [message(1, 1), message(2, 2)]) == "(1)(2)"

    def test_order(self) -> None:
        """Siblings and threads in the order of sending, a dummy by its first (step 6)."""
        letters = [
            message(5, 5, [9]),
            message(1, 1, [9]),
            message(3, 3),
            message(4, 4, [1]),
            message(2, 2, [1]),
        ]
        assert said("REFERENCES", letters) == "((1 (2)(4))(5))(3)"


def test_latest() -> None:
    """REFS sorts threads by their latest messages."""
    letters = [message(1, 1), message(2, 2), message(3, 3, [1]), message(4, 4)]
    assert said("REFS", letters) == "(2)(1 3)(4)"
    assert said("REFERENCES", letters) == "(1 3)(2)(4)"


def test_ordered_subject() -> None:
    """RFC 5256 §3: the first of a subject, and the others below it."""
    letters = [message(n, base="ABA"[n % 3]) for n in range(1, 7)]
    assert said("ORDEREDSUBJECT", letters) == "(1 4)(2 (3)(5)(6))"


# ---- A model -----------------------------------------------------------------------------------

LETTERS = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(1, 9), max_size=3)), max_size=8
)


@given(LETTERS, st.sampled_from(sorted(ALGORITHMS)), st.randoms())
def test_whole(letters: list[tuple[int, list[int]]], algorithm: str, random: object) -> None:
    """Each message is in the response once; lists nest properly; nothing loops."""
    messages = [
        message(uid, own, refers, "AB "[(uid * 7 + own) % 3].strip(), reply=bool(own % 2))
        for uid, (own, refers) in enumerate(letters, 1)
    ]
    text = said(algorithm, messages)
    assert sorted(map(int, re.findall(r"\d+", text))) == [it.uid for it in messages]
    assert re.fullmatch(r"(\((\d+( \d+)*( (?=\())?|(?=\())|\))*", text)
    depth = 0
    for mark in text:
        depth += (mark == "(") - (mark == ")")
        assert depth >= 0
    assert depth == 0


# ---- Hostile mail ------------------------------------------------------------------------------

COUNT = 5 * STEP


@pytest.mark.parametrize(
    "letters",
    [
        pytest.param([message(n, n, [n - 1], "A") for n in range(1, COUNT)], id="chain"),
        pytest.param([message(n, n, [n + 1], "A") for n in range(1, COUNT)], id="backwards"),
        pytest.param([message(n, n, [n % 99 + 1]) for n in range(1, COUNT)], id="rings"),
        pytest.param([message(n, n, [1]) for n in range(1, COUNT)], id="star"),
        pytest.param([message(n, 0, range(n, n + 60)) for n in range(1, COUNT)], id="absent"),
        pytest.param([message(n, 1, [2], "A") for n in range(1, COUNT)], id="same"),
    ],
)
def test_hostile(letters: list[Threadable]) -> None:
    """No chain, ring or crowd is too long: there are breathing points, and no recursion."""
    for algorithm in ALGORITHMS:
        forest, steps = arrange(algorithm, letters)
        assert steps >= 4
        said = list(pieces(forest, [it.uid for it in letters]))
        assert b"".join(said).count(b"(") >= 1
        assert max(map(len, said)) <= 65536
        assert len(re.findall(rb"\d+", b"".join(said))) == len(letters)


@given(st.lists(st.integers(0, 5), max_size=300), st.sampled_from([1, 2, 3, FAN, FAN + 1]))
def test_shapes(parents: list[int], fan: int) -> None:
    """Trees of any shape are said as the grammar has them: only children bare."""
    forest = Forest(len(parents) + fan + 1, roots=[0])
    forest.children[0] = list(range(1, fan + 1))
    for node, parent in enumerate(parents, fan + 1):
        forest.children.setdefault(max(node - 1 - parent, 0), []).append(node)

    def list_of(node: int) -> str:
        held = forest.children.get(node, [])
        inner = list_of(held[0])[1:-1] if len(held) == 1 else "".join(map(list_of, held))
        return f"({node} {inner})" if held else f"({node})"

    said = b"".join(pieces(forest, range(forest.count))).decode()
    assert said == list_of(0)
