r"""What visitors have seen: marks that last, and survive torn lines."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mailhub.store.files import Files
from mailhub.store.seen import LONG, Mark, SeenFile

UIDS = range(1, 30)
CHANGES = st.lists(st.tuples(st.sets(st.sampled_from(UIDS), min_size=1), st.booleans()), max_size=8)


@given(CHANGES)
def test_model(changes: list[tuple[set[int], bool]]) -> None:
    """The last change of each message counts, with its MODSEQ."""
    with tempfile.TemporaryDirectory() as place:
        file, maildir = SeenFile(Files(), "bob@hub.example"), os.fsencode(place)
        model = {}
        for modseq, (uids, seen) in enumerate(changes, 100):
            file.mark(maildir, 7, uids, Mark(seen, modseq))
            model.update(dict.fromkeys(uids, Mark(seen, modseq)))
        assert file.load(maildir, 7, UIDS) == model
        gone = file.load(maildir, 7, [1, 2, 3])
        assert gone == {uid: mark for uid, mark in model.items() if uid < 4}


def test_names(tmp_path: Path) -> None:
    """An address cannot lead out of the maildir."""
    SeenFile(Files(), "../x/y@hub.example").mark(os.fsencode(tmp_path), 7, [1], Mark(True, 1))
    assert [it.name for it in tmp_path.iterdir()] == ["mailhub-seen...%2Fx%2Fy@hub.example"]


def test_torn(tmp_path: Path) -> None:
    """A torn line is no change."""
    file, maildir = SeenFile(Files(), "b@h"), os.fsencode(tmp_path)
    file.mark(maildir, 7, [1], Mark(True, 5))
    file.mark(maildir, 7, [1, 12], Mark(False, 6))
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-2])
    assert file.load(maildir, 7, UIDS) == {1: Mark(True, 5)}
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    assert file.load(maildir, 7, UIDS) == {1: Mark(True, 5)}


def test_behind_a_torn_line(tmp_path: Path) -> None:
    """What is marked after a full disk has torn a line counts."""
    file, maildir = SeenFile(Files(), "b@h"), os.fsencode(tmp_path)
    file.mark(maildir, 7, [1], Mark(True, 5))
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"6 + 1")
    file.mark(maildir, 7, [2], Mark(True, 7))
    assert file.load(maildir, 7, UIDS) == {1: Mark(True, 5), 2: Mark(True, 7)}


def test_other_mailbox(tmp_path: Path) -> None:
    """Marks of another UIDVALIDITY, or in a broken file, are none, and are thrown away."""
    file, maildir = SeenFile(Files(), "b@h"), os.fsencode(tmp_path)
    file.mark(maildir, 7, [1], Mark(True, 5))
    assert file.load(maildir, 8, UIDS) == {}
    assert list(tmp_path.iterdir()) == []
    assert file.load(maildir, 8, UIDS) == {}


def test_long(tmp_path: Path) -> None:
    """A long file is written anew with what still counts."""
    file, maildir = SeenFile(Files(), "b@h"), os.fsencode(tmp_path)
    for number in range(LONG + 1):
        file.mark(maildir, 7, [number % 10 + 1], Mark(number % 2 == 0, number + 1))
    before = file.load(maildir, 7, UIDS)
    [path] = tmp_path.iterdir()
    assert len(path.read_bytes().splitlines()) == 11
    assert file.load(maildir, 7, UIDS) == before
