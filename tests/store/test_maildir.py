"""Maildirs as directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.store import maildir
from mailhub.store.files import Files
from mailhub.store.maildir import Finder
from tests.store.world import FailingFiles, each_failure

FILES = Files()


def made(path: Path, *, folder: bool = False) -> bytes:
    maildir.make(FILES, os.fsencode(path), folder=folder)
    return os.fsencode(path)


class TestMake:
    def test_whole(self, tmp_path: Path) -> None:
        """cur, new and tmp, for the owner alone; making it again changes nothing."""
        path = tmp_path / "a/b/c"
        for _ in range(2):
            made(path)
        assert sorted(os.listdir(path)) == ["cur", "new", "tmp"]
        assert (path.stat().st_mode & 0o777) == 0o700
        assert maildir.exists(FILES, os.fsencode(path))

    def test_folder(self, tmp_path: Path) -> None:
        """A subfolder is marked as Maildir++ says."""
        made(tmp_path / ".A", folder=True)
        assert (tmp_path / ".A/maildirfolder").exists()

    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """A maildir that was not finished does not exist, and is finished the next time."""
        files, path = FailingFiles(), os.fsencode(tmp_path / "x/y")

        def action() -> None:
            try:
                maildir.make(files, path, folder=True)
            except OSError:
                assert files.failed

        for _ in each_failure(files, action):
            pass
        assert maildir.exists(FILES, path)

    def test_exists(self, tmp_path: Path) -> None:
        """A directory without cur, a file, or nothing at all is no maildir."""
        (tmp_path / "file").touch()
        for name in ("none", "file", "."):
            assert not maildir.exists(FILES, os.fsencode(tmp_path / name))


def test_held(tmp_path: Path) -> None:
    """A directory that is held serves calls by name, and is let go of whatever happens."""
    path = made(tmp_path / "x") + b"/cur"
    with maildir.held(FILES, path) as directory:
        os.close(os.open("a", os.O_CREAT, dir_fd=directory))
        FILES.rename("a", "b", src_dir_fd=directory, dst_dir_fd=directory)
    assert FILES.listdir(path) == [b"b"]
    with pytest.raises(FileExistsError), maildir.held(FILES, path) as directory:
        os.open("b", os.O_CREAT | os.O_EXCL, dir_fd=directory)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(directory)


class TestDestroy:
    def test_gone(self, tmp_path: Path) -> None:
        """Nothing of it is left."""
        path = made(tmp_path / ".A", folder=True)
        (tmp_path / ".A/cur/m").touch()
        maildir.destroy(FILES, path, os.fsencode(tmp_path / "aside"))
        assert os.listdir(tmp_path) == []

    def test_error(self, tmp_path: Path) -> None:
        """An error leaves it out of sight."""
        path = made(tmp_path / ".A", folder=True)
        files = FailingFiles()
        files.arm(0, only=["unlink"])
        with pytest.raises(OSError, match="output"):
            maildir.destroy(files, path, os.fsencode(tmp_path / "aside"))
        assert os.listdir(tmp_path) == ["aside"]


class TestSweep:
    def test_old_ones_go(self, tmp_path: Path) -> None:
        """What is older than the limit goes, files and directories; the rest stays."""
        path = made(tmp_path / "m")
        for name in ("old", "young"):
            (tmp_path / "m/tmp" / name).touch()
        made(tmp_path / "m/tmp/dir")
        for name in ("old", "dir"):
            os.utime(tmp_path / "m/tmp" / name, (5, 5))
        maildir.sweep(FILES, path, 100.0)
        assert os.listdir(tmp_path / "m/tmp") == ["young"]

    def test_errors_do_not_matter(self, tmp_path: Path) -> None:
        """What cannot be removed stays for the next time."""
        path = made(tmp_path / "m")
        (tmp_path / "m/tmp/old").touch()
        os.utime(tmp_path / "m/tmp/old", (5, 5))
        files = FailingFiles()
        for _ in each_failure(files, lambda: maildir.sweep(files, path, 100.0)):
            pass
        assert os.listdir(tmp_path / "m/tmp") == []


class TestListing:
    def test_names(self, tmp_path: Path) -> None:
        """A leading dot hides a file."""
        path = made(tmp_path / "m")
        (tmp_path / "m/cur/a").touch()
        (tmp_path / "m/cur/.nfs1").touch()
        assert maildir.names(FILES, path + b"/cur") == [b"a"]

    def test_directories(self, tmp_path: Path) -> None:
        """INBOX first, then subfolders that are maildirs with names of mailboxes."""
        path = made(tmp_path)
        for name in (".B", ".A.x", ".INBOX", "other", "..x"):
            made(tmp_path / name)
        (tmp_path / ".file").touch()
        (tmp_path / ".empty").mkdir()
        assert maildir.directories(FILES, path) == [b"", b".A.x", b".B"]

    def test_changed(self, tmp_path: Path) -> None:
        """Times of change tell new and cur apart."""
        path = made(tmp_path)
        before = maildir.changed(FILES, path)
        os.utime(tmp_path / "new", (5, 5))
        after = maildir.changed(FILES, path)
        assert (before[0] != after[0], before[1] == after[1]) == (True, True)


class TestFinder:
    def test_renamed(self, tmp_path: Path) -> None:
        """A file is found by its base name; the directory is listed once."""
        path = made(tmp_path)
        (tmp_path / "cur/a:2,S").touch()
        (tmp_path / "cur/b:2,").touch()
        files = FailingFiles()
        files.arm(-1)
        finder = Finder(files, path)
        assert finder.find(b"a:2,") == b"a:2,S"
        assert finder.find(b"b:2,") is None
        assert finder.find(b"c:2,") is None
        assert files.made == ["listdir"]
