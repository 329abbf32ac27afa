"""A machine's disk: real files in a directory of the world, and what a power cut leaves of them.

Two kinds of it, for two questions:

- `QuickDisk`, for running: files are real and syncs cost nothing.
- `FaultyDisk`, for proof: it knows what was synced, so that `image` can make the directory
  that the machine would find after its power failed; and each call that changes
  something asks `FaultyDisk.watch` first, which may make it fail, or the power.

What survives is what POSIX promises and no more: the octets of a file as of its last
fsync, and the names in a directory as of that directory's. What was not synced may have
survived all the same, each file for itself: `image` is told by a function. So a file that
was moved is where it was or where it went while neither directory has been synced since;
and once one of them has, it may be in both, or in neither.

SQLite writes past Python. Its files are therefore followed at its commits: after one with
``synchronous=FULL`` all of it is durable; after one with ``NORMAL`` only if it has moved
the log into the database (it syncs both then), or once somebody has synced the log. A copy
is taken at each such point, and a loss of power brings the last one back. SQLite's own
atomicity is trusted, not tried.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mailhub.store.files import Files
from mailhub.store.index import FILE

LOGS: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database."""


class _Quick(sqlite3.Connection):
    """A connection that never syncs, whatever it is told."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA synchronous") and "=" in sql:
            return super().execute("PRAGMA synchronous=OFF")
        return super().execute(sql, parameters)


class QuickDisk(Files):
    """Files without syncs: nothing here asks what a loss of power would leave."""

    def fsync(self, descriptor: Any) -> None:
        """Nothing to wait for."""

    def fdatasync(self, descriptor: Any) -> None:
        """Likewise."""

    def syncfs(self, descriptor: int) -> bool:  # noqa: ARG002
        """Likewise."""
        return True

    def connect(self, *arguments: Any, **keywords: Any) -> sqlite3.Connection:
        """Open a database."""
        made: sqlite3.Connection = sqlite3.connect(*arguments, factory=_Quick, **keywords)
        return made


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that changes something.

    Attributes:
        number: From 1, on this disk.
        name: ``open write fsync rename link unlink mkdir rmdir utime commit``; of
            ``open`` those alone that make a file or empty it.
        path: Relative to the disk's directory.
    """

    number: int
    name: str
    path: str


@dataclass(slots=True)
class _Directory:
    """The names in a directory that are durable."""

    names: dict[bytes, int] = field(default_factory=dict)


class FaultyDisk(QuickDisk):
    """Files below one directory, with all that is known of their durability.

    Args:
        now: The world's time, to date directories by when a name in them changes: by the
            machine's clock an hour of the world may pass within one tick of a file system.

    Attributes:
        watch: Called before each operation, and may raise the `OSError` with which it fails.
        over: Nobody looks at this disk any more: calls are carried out, and nothing is noted.
    """

    def __init__(self, root: str, now: Callable[[], float] | None = None) -> None:
        self.root = os.fsencode(os.path.realpath(root))
        self._now = now
        self.watch: Callable[[Operation], object] | None = None
        self.over = False
        self.operations = 0
        self._next = 0
        self._idents: dict[int, int] = {}  # by inode
        self._contents: dict[int, bytes] = {}  # octets as of the last sync
        self._directories: dict[int, _Directory] = {}
        self._databases: dict[bytes, dict[bytes, bytes]] = {}  # files as of the last sync
        self._snapshot(self.root)

    # ---- What changes something ------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, **words: Any) -> int:
        changes = flags & (os.O_CREAT | os.O_TRUNC)
        if changes:
            self._begin("open", path)
        there = os.path.lexists(path) if changes else True
        descriptor = os.open(path, flags, mode, **words)
        if not there:
            self._changed(path)
            self._idents.pop(os.fstat(descriptor).st_ino, None)
        return descriptor

    def write(self, descriptor: int, octets: Any) -> int:
        self._begin("write", descriptor)
        return os.write(descriptor, octets)

    def fsync(self, descriptor: Any) -> None:
        self._begin("fsync", descriptor)
        if not self.over:
            self._synced(_path(descriptor))

    fdatasync = fsync

    def syncfs(self, descriptor: int) -> bool:
        self._begin("fsync", descriptor)
        if not self.over:
            self._snapshot(self.root)
        return True

    def rename(
        self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        src, dst = _at(src, src_dir_fd), _at(dst, dst_dir_fd)
        self._begin("rename", dst)
        self._leaving(dst)
        os.rename(src, dst)
        self._changed(src, dst)

    def link(
        self,
        src: Any,
        dst: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        src, dst = _at(src, src_dir_fd), _at(dst, dst_dir_fd)
        self._begin("link", dst)
        os.link(src, dst, follow_symlinks=follow_symlinks)
        self._changed(dst)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        path = _at(path, dir_fd)
        self._begin("unlink", path)
        self._leaving(path)
        os.unlink(path)
        self._changed(path)

    def mkdir(self, path: Any, mode: int = 0o777, **words: Any) -> None:
        self._begin("mkdir", path)
        os.mkdir(path, mode, **words)
        self._idents.pop(os.stat(path).st_ino, None)

    def makedirs(self, name: Any, mode: int = 0o777, exist_ok: bool = False) -> None:
        head = os.path.dirname(name)
        if head and not os.path.exists(head):
            self.makedirs(head, mode, exist_ok=True)
        try:
            self.mkdir(name, mode)
        except FileExistsError:
            if not exist_ok:
                raise

    def rmdir(self, path: Any, **words: Any) -> None:
        self._begin("rmdir", path)
        inode = os.stat(path).st_ino
        os.rmdir(path, **words)
        self._idents.pop(inode, None)

    def utime(self, path: Any, *arguments: Any, **words: Any) -> None:
        self._begin("utime", path)
        os.utime(path, *arguments, **words)

    def connect(self, database: Any, *arguments: Any, **keywords: Any) -> sqlite3.Connection:
        made: Any = sqlite3.connect(database, *arguments, factory=_Followed, **keywords)
        made.follow(self, os.fsencode(os.path.realpath(database)))
        followed: sqlite3.Connection = made
        return followed

    def _changed(self, *paths: Any) -> None:
        """Names have changed: their directories did at this moment of the world."""
        if self._now is not None:
            for path in paths:
                os.utime(os.path.dirname(path), (self._now(), self._now()))

    def _begin(self, name: str, where: Any) -> None:
        """An operation is about to take place.

        Raises:
            OSError: It is to fail.
        """
        if self.over:
            return
        self.operations += 1
        if self.watch is not None:
            path = _path(where) if isinstance(where, int) else os.fsencode(where)
            relative = os.path.relpath(path, self.root)
            self.watch(Operation(self.operations, name, os.fsdecode(relative)))

    # ---- What is known ---------------------------------------------------------------------

    def _ident(self, inode: int) -> int:
        """A number for a file that is not used again, as inodes are."""
        if inode not in self._idents:
            self._next += 1
            self._idents[inode] = self._next
        return self._idents[inode]

    def _leaving(self, path: Any) -> None:
        """A name is about to go: perhaps the file's last one."""
        with suppress(OSError):
            found = os.lstat(path)
            if found.st_nlink == 1:
                # Its inode may be another file's tomorrow; this one is remembered by its ident.
                self._ident(found.st_ino)
                self._idents.pop(found.st_ino)

    def _synced(self, path: bytes) -> None:
        """A file, or the names of a directory, are durable from here on."""
        if path.endswith(_LOG):  # with it, all that was committed to the database
            self._databases.pop(path.removesuffix(_LOG), None)
        elif os.path.isdir(path):
            names = {
                entry.name: self._ident(entry.inode())
                for entry in os.scandir(path)
                if not _of_sqlite(entry.name)
            }
            self._directories[self._ident(os.stat(path).st_ino)] = _Directory(names)
        else:
            with open(path, "rb") as file:
                self._contents[self._ident(os.fstat(file.fileno()).st_ino)] = file.read()

    def _snapshot(self, directory: bytes) -> None:
        """All below a directory is durable."""
        for where, _, names in os.walk(directory):
            for name in names:
                path = where + b"/" + name
                if not _of_sqlite(name) and os.path.isfile(path):
                    self._synced(path)
            self._synced(where)

    def unsure(self, path: bytes) -> None:
        """A database is about to commit without a sync; for its connection."""
        if not self.over and path not in self._databases:
            self._databases[path] = _files_of(path)

    def committed(self, path: bytes, *, full: bool, moved: bool) -> None:
        """A database has committed; for its connection."""
        if self.over:
            return
        if full:
            self._databases.pop(path, None)  # as it is, it is durable
        elif moved:
            self._databases[path] = _files_of(path)

    # ---- After a loss of power -------------------------------------------------------------

    def image(self, target: str, keep: Callable[[], bool] = lambda: False) -> None:
        """Make the directory that the machine finds when the power is back.

        `keep` says of each change that was not synced whether it survived.
        """
        chosen: dict[int, bool] = {}

        def survives(ident: int) -> bool:
            if ident not in chosen:
                chosen[ident] = keep()
            return chosen[ident]

        places = self._places()
        self._rebuild(self.root, self._ident(os.stat(self.root).st_ino), target, survives, places)

    def _places(self) -> dict[int, bytes]:
        """Where each file lies now."""
        found = {}
        for where, directories, names in os.walk(self.root):
            for name in (*directories, *names):
                path = where + b"/" + name
                with suppress(OSError):
                    found[self._ident(os.lstat(path).st_ino)] = path
        return found

    def _rebuild(
        self,
        here: bytes | None,
        ident: int,
        target: str,
        survives: Callable[[int], bool],
        places: dict[int, bytes],
    ) -> None:
        os.makedirs(target, 0o700, exist_ok=True)
        before = self._directories.get(ident, _Directory()).names
        now: dict[bytes, int] = {}
        if here is not None:
            for entry in sorted(os.scandir(here), key=lambda it: it.name):
                if not _of_sqlite(entry.name):
                    now[entry.name] = self._ident(entry.inode())
                elif not entry.name.endswith(_SIDES):
                    self._rebuild_database(here, entry.name, target)
        for name in sorted({*before, *now}):
            old, new = before.get(name), now.get(name)
            chosen = old if old == new else self._choose(old, new, survives)
            if chosen is not None:
                self._put(
                    chosen,
                    places.get(chosen),
                    os.path.join(target, os.fsdecode(name)),
                    survives,
                    places,
                )

    @staticmethod
    def _choose(old: int | None, new: int | None, survives: Callable[[int], bool]) -> int | None:
        """What is under a name that was not synced since it changed."""
        if new is not None:
            return new if survives(new) else old
        assert old is not None
        return None if survives(old) else old

    def _put(
        self,
        ident: int,
        here: bytes | None,
        target: str,
        survives: Callable[[int], bool],
        places: dict[int, bytes],
    ) -> None:
        if ident in self._directories or (here is not None and os.path.isdir(here)):
            self._rebuild(here, ident, target, survives, places)
            return
        octets = self._contents.get(ident, b"")
        if here is not None and os.path.isfile(here):
            with open(here, "rb") as file:
                current = file.read()
            if current != octets and survives(ident):
                octets = current
        elif here is not None and not os.path.exists(here):
            return
        with open(target, "wb") as file:
            file.write(octets)
        if here is not None:
            shutil.copystat(here, target)

    def _rebuild_database(self, here: bytes, name: bytes, target: str) -> None:
        path = here + b"/" + name
        for found, octets in self._databases.get(path, _files_of(path)).items():
            with open(os.path.join(os.fsencode(target), os.path.basename(found)), "wb") as file:
                file.write(octets)


_LOG: Final = LOGS[0].encode()
_SIDES: Final = tuple(end.encode() for end in LOGS)


def _of_sqlite(name: bytes) -> bool:
    """Whether a file is SQLite's: a database of ours, or what lies beside one."""
    return name == FILE or name.endswith((b".db", *_SIDES))


def _files_of(path: bytes) -> dict[bytes, bytes]:
    """A database and its log, as they are."""
    found = {}
    for name in (path, path + b"-wal", path + b"-journal"):
        with suppress(FileNotFoundError), open(name, "rb") as file:
            found[name] = file.read()
    return found


def _at(path: Any, directory: int | None) -> Any:
    """A path that is relative to an open directory, in full."""
    return path if directory is None else os.path.join(_path(directory), os.fsencode(path))


def _path(descriptor: int) -> bytes:
    return os.readlink(os.fsencode(f"/proc/self/fd/{descriptor}"))


class _Followed(sqlite3.Connection):
    """A connection whose commits are known."""

    _disk: FaultyDisk
    _path: bytes
    _mode = "FULL"

    def follow(self, disk: FaultyDisk, path: bytes) -> None:
        self._disk, self._path = disk, path

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA synchronous") and "=" in sql:
            self._mode = sql.partition("=")[2].strip().upper()
            return super().execute("PRAGMA synchronous=OFF")
        if sql != "COMMIT":
            return super().execute(sql, parameters)
        disk = self._disk
        try:
            disk._begin("commit", self._path)  # noqa: SLF001  # they are one thing
        except OSError as error:
            failed = sqlite3.OperationalError(str(error))
            full_disk = error.errno == errno.ENOSPC
            failed.sqlite_errorcode = sqlite3.SQLITE_FULL if full_disk else sqlite3.SQLITE_IOERR
            raise failed from error
        full = self._mode in ("FULL", "EXTRA")
        if not full:
            disk.unsure(self._path)
        before = _stamp(self._path)
        done = super().execute(sql)
        disk.committed(self._path, full=full, moved=_stamp(self._path) != before)
        return done


def _stamp(path: bytes) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size
