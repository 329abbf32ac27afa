"""Content files: written, synced, aborted, found again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mailhub.queue.content import ContentFile, files, path_of, read, sync_directory
from mailhub.store.files import Files
from tests.queue.given import queue_id

ID = queue_id(7)


def spool(tmp_path: Path) -> str:
    (tmp_path / "content").mkdir()
    return str(tmp_path)


def test_head_and_content(tmp_path: Path) -> None:
    """A file holds the head, then the content; sizes count the content alone."""
    file = ContentFile(spool(tmp_path), ID, b"Return-Path: <a@b>\r\n")
    file.write(b"Subject: x\r\n")
    file.write(b"\r\nx\r\n")
    file.finish()
    file.finish()
    path = path_of(str(tmp_path), ID)
    assert file.path == path
    assert file.size == 17
    assert read(path, 20, 100) == b"Subject: x\r\n\r\nx\r\n"
    assert read(path, 20 + 12, 3) == b"\r\nx"
    assert read(path, 1000, 3) == b""
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_the_name_is_taken(tmp_path: Path) -> None:
    """A file is never written over."""
    ContentFile(spool(tmp_path), ID).finish()
    with pytest.raises(FileExistsError):
        ContentFile(str(tmp_path), ID)


def test_abort(tmp_path: Path) -> None:
    """Aborted at any stage, nothing is left."""
    directory = spool(tmp_path)
    begun = ContentFile(directory, ID)
    begun.write(b"x")
    begun.abort()
    begun.abort()
    assert list(files(directory)) == []
    finished = ContentFile(directory, ID)
    finished.finish()
    finished.abort()
    assert list(files(directory)) == []


def test_synced_before_the_promise(tmp_path: Path) -> None:
    """The octets are synced, then the name."""
    synced: list[str] = []

    class Watched(Files):
        def fsync(self, descriptor: int) -> None:  # type: ignore[override]
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    directory = spool(tmp_path)
    ContentFile(directory, ID).abort()  # its directory is there
    file = ContentFile(directory, ID, system=Watched())
    file.write(b"x")
    assert synced == []
    file.finish()
    assert synced == [file.path, str(Path(file.path).parent)]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_sync_that_fails(tmp_path: Path, failing: int) -> None:
    """A sync that fails is told, and can be cleaned up after."""
    calls = 0

    class Failing(Files):
        def fsync(self, descriptor: int) -> None:  # type: ignore[override]
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.EIO, "I/O error")

    directory = spool(tmp_path)
    ContentFile(directory, ID).abort()  # its directory is there
    file = ContentFile(directory, ID, system=Failing())
    with pytest.raises(OSError, match="I/O error"):
        file.finish()
    file.abort()
    assert list(files(str(tmp_path))) == []


def test_a_head_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full from the start leaves no file."""

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="full"):
        ContentFile(spool(tmp_path), ID, b"x")
    assert list(files(str(tmp_path))) == []


def test_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may take less than it was given: the rest follows."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, octets: real(fd, octets[:3]))
    file = ContentFile(spool(tmp_path), ID)
    file.write(b"0123456789")
    monkeypatch.undo()
    file.finish()
    assert read(file.path, 0, 100) == b"0123456789"


def test_short_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that gives less is asked again."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: real(fd, min(n, 3), at))
    assert read(str(path), 1, 8) == b"12345678"


def test_files(tmp_path: Path) -> None:
    """Only what is named by a queue id is ours; a missing directory is an empty one."""
    assert list(files(str(tmp_path))) == []
    directory = spool(tmp_path)
    file = ContentFile(directory, ID)
    Path(file.path).with_name("README").touch()
    (tmp_path / "content" / "stray").touch()
    assert list(files(directory)) == [(ID, file.path)]
    file.abort()


def test_files_of_a_broken_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be read is an error, not an empty one."""

    def listdir(_: str) -> list[str]:
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(OSError, match="I/O error"):
        list(files(str(tmp_path)))


def test_sync_directory(tmp_path: Path) -> None:
    """Only a directory can be synced as one."""
    sync_directory(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync_directory(str(tmp_path / "none"))
