"""Content in memory and in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailhub.net.content import FileContent, LargeContent, Octets
from mailhub.queue.content import files
from tests.net.test_journal import SlowDisk, outcome
from tests.queue.given import queue_id
from tests.rig import InlineDisk, run


def check(content: Octets | FileContent) -> None:
    assert content.size == 10
    assert run(content.read()) == b"0123456789"
    assert run(content.read(0, 99)) == b"0123456789"
    assert run(content.read(3)) == b"3456789"
    assert run(content.read(3, 2)) == b"34"
    assert run(content.read(10)) == b""
    assert run(content.read(12, 3)) == b""
    content.close()


def test_octets() -> None:
    """Content in memory is read at any offset."""
    check(Octets(b"0123456789"))


def test_file(tmp_path: Path) -> None:
    """Content in a file begins behind its head, and ends where it should."""
    path = tmp_path / "x"
    path.write_bytes(b"head0123456789tail")
    check(FileContent(str(path), 4, 10, InlineDisk()))


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """What cannot be read is an OSError, at the read."""
    content = FileContent(str(tmp_path / "none"), 0, 10, InlineDisk())
    with pytest.raises(FileNotFoundError):
        run(content.read())


def test_large(tmp_path: Path) -> None:
    """Large content is written in pieces and can be aborted until it is accepted."""
    (tmp_path / "content").mkdir()
    large = LargeContent(str(tmp_path), queue_id(1), b"head", InlineDisk())
    run(large.write(b"01234"))
    run(large.write(b"56789"))
    run(large.finish())
    [(_, path)] = files(str(tmp_path))
    assert large.stored().path == path
    check(large.stored())
    large.accepted()
    run(large.abort())
    assert list(files(str(tmp_path)))


def test_aborted(tmp_path: Path) -> None:
    """Aborted content leaves nothing, whether anything was written or not."""
    (tmp_path / "content").mkdir()
    large = LargeContent(str(tmp_path), queue_id(1), b"", InlineDisk())
    run(large.abort())
    begun = LargeContent(str(tmp_path), queue_id(2), b"", InlineDisk())
    run(begun.write(b"x"))
    run(begun.abort())
    run(begun.abort())
    assert list(files(str(tmp_path))) == []


def test_cancelled(tmp_path: Path) -> None:
    """Whoever stops waiting stops nothing; an abort waits its turn, and leaves nothing."""
    (tmp_path / "content").mkdir()
    disk = SlowDisk()
    large = LargeContent(str(tmp_path), queue_id(1), b"", disk)
    writing = Deferred.fromCoroutine(large.write(b"x"))
    written = outcome(writing)
    writing.cancel()
    assert isinstance(written[0], CancelledError)
    aborted = outcome(Deferred.fromCoroutine(large.abort()))
    assert [disk.turn() for _ in range(3)] == ["ContentFile", "write", "abort"]
    assert aborted == [None]
    assert list(files(str(tmp_path))) == []
