"""The lab's command: starts, tells where everything is, and stops."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailhub.cli import lab
from mailhub.cli.loopback import locked
from mailhub.lab.lab import world_named
from mailhub.lab.prepared import prepare
from tests.cli.conftest import Mailhub


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_and_stops(tmp_path: Path, ending: signal.Signals) -> None:
    """A signal ends it cleanly and soon, in the midst of attempts, saying nothing of errors."""
    ready = tmp_path / "ready.json"
    state = tmp_path / "state"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mailhub", "lab", "--ports", "free"),
            *("--ready", str(ready), "--state", str(state)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has them, and all they start, ignore SIGINT.
        preexec_fn=lambda: signal.signal(ending, signal.SIG_DFL),  # noqa: PLW1509  # no threads
    )
    end = time.monotonic() + 30
    while not ready.exists() and process.poll() is None and time.monotonic() < end:
        os.sched_yield()
    facts = json.loads(ready.read_text())
    assert facts["pid"] == process.pid
    with smtplib.SMTP(facts["host"], facts["ports"]["smtp"]) as smtp:
        for domain in ("slow.test", "silent.test"):
            smtp.sendmail("a@b.test", [f"x@{domain}"], "Subject: x\r\n\r\nx\r\n")
    process.send_signal(ending)
    out, err = process.communicate(timeout=15)  # an attempt at silent.test takes 30
    assert (process.returncode, err) == (0, "")
    assert facts["url"] in out
    log = (state / "log").read_text()
    assert "Traceback" not in log
    assert "Unhandled" not in log


def test_invitation(tmp_path: Path) -> None:
    """A person is told where everything is."""
    made = prepare(str(tmp_path), lab.PORTS)
    told = lab.invitation(made, world_named("lab"))
    assert all(str(port) in told for port in lab.PORTS.values())
    assert "greylist.test" in told


def test_a_directory_in_use(mailhub: Mailhub, tmp_path: Path) -> None:
    """Two labs do not share a directory: one line says so."""
    held = locked(str(tmp_path))
    said = mailhub("lab", "--ports", "free", "--state", str(tmp_path))
    held.release()
    assert said.status == 1
    assert len(said.err.splitlines()) == 1


def test_a_world_with_mistakes(mailhub: Mailhub, tmp_path: Path) -> None:
    """Each mistake is told, and nothing starts."""
    file = tmp_path / "world.ini"
    file.write_text("[provider X]\ngreylist = soon\n")
    said = mailhub("lab", "--world", str(file))
    assert said.status == 1
    assert "greylist" in said.err
