"""The file of annotations: read, changed, and never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.durable import Corrupt
from mailhub.store.files import Files
from mailhub.store.metadata import change, parse, render, visible

WHOSE = st.sampled_from(["shared", "bob@hub.example", "a b@hub.example", "é@hub.example"])
NAMES = st.from_regex(r"/(shared|private)(/[ -$&-)+-.0-~]{1,5}){1,3}", fullmatch=True)


@given(st.dictionaries(st.tuples(WHOSE, NAMES), st.binary(max_size=20), max_size=5))
def test_round_trip(entries: dict[tuple[str, str], bytes]) -> None:
    """What we write we read."""
    assert parse(render(entries)) == entries


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"mailhub-metadata 2\n",
        b"mailhub-metadata 1\nshared /shared/a\n",
        b"mailhub-metadata 1\nshared /shared/a x\n",
        b"mailhub-metadata 1\nshared /shared/\xff eA==\n",
    ],
)
def test_corrupt(octets: bytes) -> None:
    """What is not as we write it is no guess."""
    with pytest.raises(Corrupt):
        parse(octets)


def test_change(tmp_path: Path) -> None:
    """Each sees its own and what is shared; the file goes with the last entry."""
    files, path = Files(), os.fsencode(tmp_path / "file")
    change(files, path, "bob", {"/shared/a": b"all", "/private/a": b"his"}, 5)
    change(files, path, "eve", {"/private/a": b""}, 5)
    assert visible(files, path, "bob") == {"/shared/a": b"all", "/private/a": b"his"}
    assert visible(files, path, "eve") == {"/shared/a": b"all", "/private/a": b""}
    change(files, path, "eve", {"/shared/a": None, "/private/a": None, "/private/b": None}, 5)
    change(files, path, "bob", {"/private/a": None}, 5)
    assert not (tmp_path / "file").exists()
    change(files, path, "bob", {"/private/a": None}, 5)


def test_limit(tmp_path: Path) -> None:
    """Who has as many as may be can change and remove them; others are not held to that."""
    files, path = Files(), os.fsencode(tmp_path / "file")
    change(files, path, "bob", {f"/private/{n}": b"x" for n in range(3)}, 3)
    with pytest.raises(StoreRefused) as caught:
        change(files, path, "bob", {"/private/3": b"x"}, 3)
    assert caught.value.fault is StoreFault.TOO_MANY_ENTRIES
    change(files, path, "bob", {"/private/3": b"x", "/private/0": None}, 3)
    change(files, path, "bob", {"/private/1": b"y"}, 2)
    change(files, path, "eve", {"/private/1": b"y"}, 3)


def test_broken(tmp_path: Path) -> None:
    """A broken file is not written over."""
    path = tmp_path / "file"
    path.write_bytes(b"nonsense")
    with pytest.raises(OSError, match="not a mailhub-metadata file"):
        change(Files(), os.fsencode(path), "bob", {"/private/a": b"x"}, 3)
    assert path.read_bytes() == b"nonsense"
