"""A sync that fails makes the next ones worth nothing, unless what it lost is written anew."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailhub.ports.filing import Promise
from mailhub.ports.message import FlagAction
from mailhub.store.files import Files
from mailhub.store.rewriting import rewrite
from tests.rig import run
from tests.store.world import TEXT, Hub


class Forgetful(Files):
    """A disk as Linux shows it: what could not be written it takes for clean from then on.

    Attributes:
        broken: Syncs fail.
        dirty: Files with octets that are in memory alone.
        lost: Files whose octets never came to the disk, and never will by a sync.
    """

    def __init__(self) -> None:
        self.broken = False
        self.dirty: set[int] = set()
        self.lost: set[int] = set()

    def write(self, descriptor: int, octets: bytes) -> int:  # type: ignore[override]
        file = os.fstat(descriptor).st_ino
        self.dirty.add(file)
        self.lost.discard(file)
        return os.write(descriptor, octets)

    def fsync(self, descriptor: int) -> None:  # type: ignore[override]
        self._sync({os.fstat(descriptor).st_ino})

    def syncfs(self, descriptor: int) -> bool:
        self._sync(self.dirty)
        return True

    def _sync(self, files: Iterable[int]) -> None:
        gone = self.dirty.intersection(files)
        self.dirty -= gone
        if self.broken:
            self.lost |= gone
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def files() -> Forgetful:
    return Forgetful()


@pytest.fixture
def hub(tmp_path: Path, files: Forgetful) -> Hub:
    hub = Hub(tmp_path, files=files)
    files.dirty.clear()
    return hub


def left(hub: Hub, files: Forgetful) -> list[str]:
    """Messages that the disk has not got."""
    paths = [path for place in ("new", "cur") for path in (hub.maildir / place).iterdir()]
    return [path.name for path in paths if path.stat().st_ino in files.lost | files.dirty]


@pytest.mark.parametrize("count", [1, 20])
def test_filings(hub: Hub, files: Forgetful, count: int) -> None:
    """What was filed before a failure is written once more, in its place, and then synced."""
    filings = [hub.filing(f"q{n}") for n in range(count)]
    assert run(hub.filer.file(filings)) == [None] * count
    before = {path.name: path.stat().st_ino for path in (hub.maildir / "new").iterdir()}
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.sync(filings))
    files.broken = False
    assert left(hub, files)
    run(hub.filer.sync(filings))
    assert left(hub, files) == []
    assert {path.name: path.stat().st_ino for path in (hub.maildir / "new").iterdir()} == before


def test_others_failure(hub: Hub, files: Forgetful) -> None:
    """Whoever's sync has failed: it was told to him alone, and concerned all."""
    run(hub.filer.file([hub.filing("a")]))
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.settle([hub.account]))
    files.broken = False
    later = hub.filing("b")
    run(hub.filer.file([later]))
    run(hub.filer.sync([hub.filing("a"), later]))
    assert left(hub, files) == []


def test_a_file_with_another_name(hub: Hub, files: Forgetful) -> None:
    """A session may have changed its flags: it is found, and the flags stay."""
    filing = hub.filing("a")
    run(hub.filer.file([filing]))
    mailbox = hub.open()
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.sync([filing]))
    files.broken = False
    run(mailbox.store(mailbox.uids, FlagAction.ADD, ["\\Seen"]))
    hub.follow()
    run(hub.filer.sync([filing]))
    assert left(hub, files) == []
    [path] = (hub.maildir / "cur").iterdir()
    assert path.name.endswith(":2,S")
    assert path.read_bytes() == filing.head + TEXT


def test_in_a_file(hub: Hub, files: Forgetful, tmp_path: Path) -> None:
    """What the spool has in a file is read from there."""
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"head" + TEXT * 1000)
    filing = replace(hub.filing("a"), content=str(spooled), size=len(TEXT) * 1000, skip=4)
    run(hub.filer.file([filing]))
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.sync([filing]))
    files.broken = False
    [path] = (hub.maildir / "new").iterdir()
    octets = path.read_bytes()
    run(hub.filer.sync([filing]))
    assert left(hub, files) == []
    assert path.read_bytes() == octets


def test_what_has_left(hub: Hub, files: Forgetful) -> None:
    """A message that is not there any more needs nothing."""
    filing = hub.filing("a")
    run(hub.filer.file([filing]))
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.sync([filing]))
    files.broken = False
    for path in (hub.maildir / "new").iterdir():
        path.unlink()
    run(hub.filer.sync([filing]))
    assert list((hub.maildir / "new").iterdir()) == []


def test_promises(hub: Hub, files: Forgetful) -> None:
    """So is what was appended, by the octets that were promised."""
    promise = Promise(hub.account, "INBOX", "q7", TEXT, (), 1000.0)
    run(hub.filer.redeem([promise]))
    files.broken = True
    with pytest.raises(OSError, match="Input/output"):
        run(hub.filer.settle([hub.account]))
    assert hub.filer.failures == 1
    files.broken = False
    run(hub.filer.settle([hub.account], [promise]))
    assert left(hub, files) == []


def test_renamed_this_moment(tmp_path: Path) -> None:
    """A file that goes elsewhere between two looks is looked for again."""
    for name in ("new", "cur"):
        (tmp_path / name).mkdir()
    here, there = tmp_path / "new/1.H000000_q1.h,S=1", tmp_path / "cur/1.H000000_q1.h,S=1,U=1:2,"
    here.write_bytes(b"x")

    class Moving(Files):
        def open(self, path: bytes, *args: Any, **words: Any) -> int:  # type: ignore[override]
            if here.exists():
                here.rename(there)
            return os.open(path, *args, **words)

    rewrite(Moving(), os.fsencode(tmp_path), {b"q1": lambda: (b"y",)})
    assert there.read_bytes() == b"y"
