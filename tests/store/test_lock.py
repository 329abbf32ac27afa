"""The lock of a state directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailhub.store.lock import InUse, StateLock

HOLDER = """
import sys
from mailhub.store.lock import StateLock
lock = StateLock(sys.argv[1])
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_two_in_one_process(tmp_path: Path) -> None:
    """The second one is refused with the holder's process id, until the first lets go."""
    first, second = StateLock(str(tmp_path)), StateLock(str(tmp_path))
    first.take()
    with pytest.raises(InUse) as caught:
        second.take()
    assert str(caught.value) == f"{tmp_path} is in use by another mailhub (pid {os.getpid()})"
    first.release()
    second.take()
    second.release()


def test_again(tmp_path: Path) -> None:
    """Whoever has it may take it again, and let go twice."""
    lock = StateLock(str(tmp_path))
    lock.take()
    lock.take()
    lock.release()
    lock.release()


def test_a_killed_holder(tmp_path: Path) -> None:
    """SIGKILL ends the lock: the next hub starts at once."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        lock = StateLock(str(tmp_path))
        with pytest.raises(InUse, match=rf"\(pid {holder.pid}\)"):
            lock.take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lock.take()
        lock.release()


def test_a_file_of_somebody_elses(tmp_path: Path) -> None:
    """What cannot be opened is an error with its name."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        StateLock(str(tmp_path)).take()
    assert caught.value.filename == str(tmp_path / "lock")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the lock itself names the file, and leaves nothing open."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No locks available") as caught:
        StateLock(str(tmp_path)).take()
    assert caught.value.filename == str(tmp_path / "lock")
    assert len(os.listdir("/proc/self/fd")) == before
