"""The file of the keys that sign URLs: read, changed, and never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.store.durable import Corrupt
from mailhub.store.files import Files
from mailhub.store.urlkeys import FILE, MOST, clear, load, parse, put, render


@given(st.dictionaries(st.from_regex(r"F[0-9a-f]{1,24}", fullmatch=True), st.binary(min_size=1)))
def test_round_trip(keys: dict[str, bytes]) -> None:
    """What we write we read, in its order."""
    assert list(parse(render(keys)).items()) == list(keys.items())


@pytest.mark.parametrize(
    "octets",
    [b"", b"mailhub-urlkeys 2\n", b"mailhub-urlkeys 1\nF1\n", b"mailhub-urlkeys 1\nF1 xx\n"],
)
def test_corrupt(octets: bytes, tmp_path: Path) -> None:
    """What is not as we write it is no guess."""
    with pytest.raises(Corrupt):
        parse(octets)
    (tmp_path / os.fsdecode(FILE)).write_bytes(octets)
    with pytest.raises(OSError, match="mailhub-urlkeys"):
        load(Files(), bytes(tmp_path))


def test_keys(tmp_path: Path) -> None:
    """A key stays until it is made anew, or all are forgotten."""
    files, maildir = Files(), bytes(tmp_path)
    assert load(files, maildir) == {}
    clear(files, maildir)
    assert put(files, maildir, "F1", b"a", anew=False) == b"a"
    assert put(files, maildir, "F1", b"b", anew=False) == b"a"
    assert put(files, maildir, "F2", b"c", anew=True) == b"c"
    assert put(files, maildir, "F1", b"d", anew=True) == b"d"
    assert load(files, maildir) == {"F2": b"c", "F1": b"d"}
    assert (tmp_path / os.fsdecode(FILE)).stat().st_mode & 0o777 == 0o600
    clear(files, maildir)
    assert load(files, maildir) == {}


def test_many(tmp_path: Path) -> None:
    """Of too many the oldest go."""
    files, maildir = Files(), bytes(tmp_path)
    keys = {f"F{number}": b"k" for number in range(MOST)}
    (tmp_path / os.fsdecode(FILE)).write_bytes(render(keys))
    put(files, maildir, "new", b"n", anew=False)
    assert list(load(files, maildir)) == [*list(keys)[1:], "new"]
