"""What a power cut leaves of a disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from mailhub.queue.database import Database
from mailhub.queue.spool import Spool
from mailhub.sim.disk import FaultyDisk, Operation, QuickDisk
from mailhub.store import durable, maildir


@pytest.fixture
def disk(tmp_path: Path) -> FaultyDisk:
    """A disk with one file, which is as durable as everything that was there before."""
    (tmp_path / "disk" / "dir").mkdir(parents=True)
    (tmp_path / "disk" / "dir" / "old").write_bytes(b"old")
    return FaultyDisk(str(tmp_path / "disk"))


def after(disk: FaultyDisk, *, keep: bool = False) -> dict[str, bytes]:
    """The files that are there when the power is back."""
    parent = Path(os.fsdecode(disk.root)).parent
    target = parent / f"after-{len(list(parent.iterdir()))}"
    disk.image(str(target), lambda: keep)
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }


def path(disk: FaultyDisk, name: str) -> bytes:
    return disk.root + b"/" + name.encode()


def write(disk: FaultyDisk, name: str, octets: bytes, *, sync: bool) -> None:
    durable.write_file(disk, path(disk, name), [octets], sync=sync)


def test_octets_and_names(disk: FaultyDisk) -> None:
    """Neither octets nor a name survive without their sync."""
    write(disk, "dir/a", b"a", sync=True)
    write(disk, "dir/b", b"b", sync=False)
    assert after(disk) == {"dir/old": b"old"}
    assert after(disk, keep=True) == {"dir/a": b"a", "dir/b": b"b", "dir/old": b"old"}
    durable.sync_directory(disk, path(disk, "dir"))
    assert after(disk) == {"dir/a": b"a", "dir/b": b"", "dir/old": b"old"}


def test_replacing(disk: FaultyDisk) -> None:
    """A file that was replaced is the old one until the directory is synced, and never neither."""
    write(disk, "dir/new", b"new", sync=True)
    disk.rename(path(disk, "dir/new"), path(disk, "dir/old"))
    assert after(disk) == {"dir/old": b"old"}
    durable.sync_directory(disk, path(disk, "dir"))
    assert after(disk) == {"dir/old": b"new"}


def test_moving(disk: FaultyDisk) -> None:
    """A file that is moved is at the one place or at the other."""
    disk.mkdir(path(disk, "other"))
    disk.rename(path(disk, "dir/old"), path(disk, "other/old"))
    assert after(disk) == {"dir/old": b"old"}
    for name in ("", "other"):
        durable.sync_directory(disk, path(disk, name))
    assert set(after(disk).values()) == {b"old"}
    assert after(disk, keep=True) == {"other/old": b"old"}


@pytest.mark.parametrize(
    ("synced", "at_least", "at_most"),
    [
        ((), {"dir/old"}, {"other/old"}),
        (("dir",), set(), {"other/old"}),
        (("other",), {"dir/old", "other/old"}, {"other/old"}),
        (("other", "dir"), {"other/old"}, {"other/old"}),
    ],
)
def test_directories_are_synced_each_for_itself(
    disk: FaultyDisk, synced: tuple[str, ...], at_least: set[str], at_most: set[str]
) -> None:
    """A file that is moved can be in both directories, in one or in neither."""
    disk.mkdir(path(disk, "other"))
    durable.sync_directory(disk, path(disk, ""))
    disk.rename(path(disk, "dir/old"), path(disk, "other/old"))
    for name in synced:
        durable.sync_directory(disk, path(disk, name))
    assert set(after(disk)) == at_least
    assert set(after(disk, keep=True)) == at_most


def test_within_open_directories(disk: FaultyDisk) -> None:
    """Names that are relative to an open directory are followed like any others."""
    seen: list[str] = []
    disk.watch = lambda operation: seen.append(f"{operation.name} {operation.path}")
    with maildir.held(disk, path(disk, "dir")) as held:
        disk.link("old", "more", src_dir_fd=held, dst_dir_fd=held)
        disk.rename("more", "new", src_dir_fd=held, dst_dir_fd=held)
        disk.unlink("old", dir_fd=held)
        disk.fsync(held)
    assert seen == ["link dir/more", "rename dir/new", "unlink dir/old", "fsync dir"]
    assert after(disk) == {"dir/new": b"old"}


def test_removing(disk: FaultyDisk) -> None:
    """What was removed is back, unless that was synced; its inode may be another's by then."""
    disk.unlink(path(disk, "dir/old"))
    write(disk, "dir/new", b"new", sync=True)
    assert after(disk) == {"dir/old": b"old"}
    durable.sync_directory(disk, path(disk, "dir"))
    assert after(disk) == {"dir/new": b"new"}


def test_writing_in_place(disk: FaultyDisk) -> None:
    """Octets are those of the last sync."""
    descriptor = disk.open(path(disk, "dir/old"), os.O_WRONLY | os.O_APPEND)
    disk.write(descriptor, b" and new")
    assert after(disk) == {"dir/old": b"old"}
    disk.fsync(descriptor)
    disk.write(descriptor, b" and lost")
    os.close(descriptor)
    assert after(disk) == {"dir/old": b"old and new"}


def test_everything_at_once(disk: FaultyDisk) -> None:
    """syncfs makes all durable."""
    disk.makedirs(os.fsdecode(path(disk, "x/y")))
    write(disk, "x/y/z", b"z", sync=False)
    disk.link(path(disk, "x/y/z"), path(disk, "x/again"))
    descriptor = os.open(disk.root, os.O_RDONLY)
    assert disk.syncfs(descriptor)
    os.close(descriptor)
    assert after(disk) == {"dir/old": b"old", "x/again": b"z", "x/y/z": b"z"}


def rows(target: Path) -> list[int]:
    with sqlite3.connect(target) as database:
        return [row[0] for row in database.execute("SELECT x FROM t ORDER BY x")]


@pytest.mark.parametrize(("mode", "kept"), [("FULL", [1, 2]), ("NORMAL", []), ("OFF", [])])
def test_databases(disk: FaultyDisk, tmp_path: Path, mode: str, kept: list[int]) -> None:
    """What was committed is durable if the database was told to sync; what was not, never."""
    name = os.fsdecode(path(disk, "x.db"))
    database = disk.connect(name, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute(f"PRAGMA synchronous={mode}")
    for value in (1, 2):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (?)", (value,))
        database.execute("COMMIT")
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO t VALUES (3)")
    disk.image(str(tmp_path / "image"))
    assert rows(tmp_path / "image" / "x.db") == kept
    database.execute("ROLLBACK")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("BEGIN IMMEDIATE")
    database.execute("COMMIT")
    database.close()


def test_log_of_a_database(disk: FaultyDisk, tmp_path: Path) -> None:
    """Whoever syncs the log makes all durable that was committed before, and nothing after."""
    name = os.fsdecode(path(disk, "x.db"))
    database = disk.connect(name, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute("PRAGMA synchronous=NORMAL")
    for value in (1, 2, 3):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (?)", (value,))
        database.execute("COMMIT")
        if value == 2:
            log = disk.open(name + "-wal", os.O_RDWR)
            disk.fdatasync(log)
            disk.close(log)
    disk.image(str(tmp_path / "image"))
    assert rows(tmp_path / "image" / "x.db") == [1, 2]
    database.close()


def test_operations_are_counted(disk: FaultyDisk) -> None:
    """Each call that changes something is told before it happens, in relative terms."""
    told: list[Operation] = []
    disk.watch = told.append
    durable.replace(disk, path(disk, "dir/old"), b"new")
    disk.utime(path(disk, "dir/old"), (1, 1))
    assert [(each.number, each.name, each.path) for each in told] == [
        (1, "open", "dir/old.new"),
        (2, "write", "dir/old.new"),
        (3, "fsync", "dir/old.new"),
        (4, "rename", "dir/old"),
        (5, "fsync", "dir"),
        (6, "utime", "dir/old"),
    ]


def test_commits_are_operations(disk: FaultyDisk) -> None:
    """A commit can be made to fail as a disk would have it, and the spool says `OSError`."""
    directory = os.fsdecode(path(disk, "spool"))
    spool = Spool(directory, connect=disk.connect, system=disk)

    def watch(operation: Operation) -> None:
        if operation.name == "commit":
            raise OSError(errno.ENOSPC, "no space")

    disk.watch = watch
    with pytest.raises(OSError, match="no space") as caught:
        spool.apply([])
    assert caught.value.errno == errno.ENOSPC
    disk.watch = None
    spool.apply([])
    spool.close()


@pytest.mark.parametrize("name", ["write", "fsync", "rename", "open"])
def test_any_call_can_fail(disk: FaultyDisk, name: str) -> None:
    """A watcher makes any call fail."""

    def watch(operation: Operation) -> None:
        if operation.name == name:
            raise OSError(errno.EIO, "broken")

    disk.watch = watch
    with pytest.raises(OSError, match="broken"):
        durable.replace(disk, path(disk, "dir/old"), b"new")


def test_nobody_looks_any_more(disk: FaultyDisk) -> None:
    """Once it is over, calls are carried out, and neither told nor noted."""
    told: list[Operation] = []
    disk.watch = told.append
    disk.over = True
    write(disk, "dir/old", b"new", sync=True)
    assert told == []
    disk.mkdir(path(disk, "x"))
    disk.rmdir(path(disk, "x"))
    assert after(disk) == {"dir/old": b"old"}


def test_a_quick_disk(tmp_path: Path) -> None:
    """It syncs nothing, not even SQLite."""
    disk = QuickDisk()
    disk.fsync(-1)
    assert disk.syncfs(-1)
    database = Database(str(tmp_path / "x.db"), disk.connect)
    assert database.row("PRAGMA synchronous") == (0,)
    database.close()
