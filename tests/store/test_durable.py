"""Durable writes: a crash or an error leaves the old file or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typing_extensions import Buffer

from mailhub.store import durable
from mailhub.store.durable import Corrupt
from mailhub.store.files import Files
from tests.store.world import FailingFiles, each_failure


class Dribbling(Files):
    """write(2) that takes a few octets at a time."""

    @staticmethod
    def write(descriptor: int, octets: Buffer, /) -> int:
        return os.write(descriptor, bytes(octets)[:3])


class TestReplace:
    def test_new_content(self, tmp_path: Path) -> None:
        """The file has the new octets, and no temporary file stays."""
        path = tmp_path / "file"
        for octets in (b"one", b"two, longer"):
            durable.replace(Files(), os.fsencode(path), octets)
            assert path.read_bytes() == octets
        assert os.listdir(tmp_path) == ["file"]

    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """Whichever call fails, the file is the old one or the new one, and no other is left."""
        path, files = tmp_path / "file", FailingFiles()
        durable.replace(files, os.fsencode(path), b"old")

        def action() -> None:
            try:
                durable.replace(files, os.fsencode(path), b"new")
            except OSError:
                assert files.failed

        for _ in each_failure(files, action):
            assert path.read_bytes() in (b"old", b"new")
            assert os.listdir(tmp_path) == ["file"]
        assert path.read_bytes() == b"new"

    def test_order(self, tmp_path: Path) -> None:
        """The octets reach the disk before the name, the name before we return."""
        files = FailingFiles()
        files.arm(-1)
        durable.replace(files, os.fsencode(tmp_path / "file"), b"x")
        assert files.made == ["open", "write", "fsync", "rename", "open", "fsync"]

    def test_short_writes(self, tmp_path: Path) -> None:
        """A write(2) that takes less than it was given is repeated."""
        path = tmp_path / "file"
        durable.write_file(Dribbling(), os.fsencode(path), (b"0123456789",), sync=False)
        assert path.read_bytes() == b"0123456789"


class TestRemove:
    def test_order(self, tmp_path: Path) -> None:
        """The name is gone from the disk before we return; a file that is not there is no fault."""
        path, files = tmp_path / "file", FailingFiles()
        path.touch()
        files.arm(-1)
        durable.remove(files, os.fsencode(path))
        assert not path.exists()
        assert files.made == ["unlink", "open", "fsync"]
        durable.remove(files, os.fsencode(path))


class TestReading:
    def test_small_file(self, tmp_path: Path) -> None:
        """A file's octets, or None where there is none."""
        (tmp_path / "file").write_bytes(b"abc")
        assert durable.read_file(Files(), os.fsencode(tmp_path / "file")) == b"abc"
        assert durable.read_file(Files(), os.fsencode(tmp_path / "none")) is None

    def test_more_than_expected(self, tmp_path: Path) -> None:
        """A file that is larger than it should be is read to its end."""
        (tmp_path / "file").write_bytes(b"x" * 5000)
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        assert durable.read_all(Files(), descriptor, 10) == b"x" * 5000
        os.close(descriptor)


class TestBoot:
    def test_same_while_the_machine_runs(self) -> None:
        """Two questions have one answer."""
        assert durable.boot_id() == durable.boot_id()

    def test_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the system does not say there is no answer."""

        def refuse(*_: object, **__: object) -> None:
            raise FileNotFoundError

        monkeypatch.setattr("builtins.open", refuse)
        assert durable.boot_id() == ""


def test_corrupt_says_where_and_why() -> None:
    """An operator finds path and reason in the text."""
    assert str(Corrupt(b"/mail/x", "no header")) == "/mail/x: no header"
