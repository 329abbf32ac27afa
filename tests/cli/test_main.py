"""The entrance: statuses, mistakes in one line, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from mailhub.accounts.database import Accounts
from mailhub.cli import main
from tests.cli.conftest import Mailhub


def test_help(mailhub: Mailhub) -> None:
    """--help names every command."""
    said = mailhub("--help")
    assert said.status == main.OK
    for name in main.COMMANDS:
        assert f"  {name}" in said.out


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name != "demo"])
def test_commands_exist(mailhub: Mailhub, name: str) -> None:
    """Each command of the table can be imported, and explains itself."""
    said = mailhub(name, "--help")
    assert said.status == main.OK
    assert f"Usage: mailhub {name}" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("--nonsense",),
        ("account", "add"),
        ("account", "list", "--state", "x"),
        ("queue", "flush"),
        ("domain", "add", "a.example", "b.example"),
    ],
)
def test_usage(mailhub: Mailhub, arguments: tuple[str, ...]) -> None:
    """A wrong command line is status 2, with the usage on standard error."""
    said = mailhub("--state", "/", *arguments)
    assert said.status == main.USAGE
    assert said.out == ""
    assert "Usage: mailhub" in said.err


def test_misspelt(mailhub: Mailhub) -> None:
    """A command that is nearly one is told which."""
    assert "Did you mean 'account'?" in mailhub("acount", "list").err
    assert "Did you mean" not in mailhub("zzzz").err


def test_no_hub(mailhub: Mailhub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hub to speak of, and with one that is not there, one line says what to do."""
    from mailhub.cli import place  # noqa: PLC0415

    monkeypatch.setattr(place, "SYSTEM_FILE", str(tmp_path / "etc.ini"))
    said = mailhub("account", "list")
    assert (said.status, said.out, said.err.count("\n")) == (main.FAILED, "", 1)
    assert "--state DIR or --config FILE" in said.err
    said = mailhub("--state", str(tmp_path / "nowhere"), "account", "list")
    assert said.status == main.FAILED
    assert said.err.startswith(f"mailhub: {tmp_path}/nowhere is not there")
    said = mailhub("--config", str(tmp_path / "nowhere.ini"), "account", "list")
    assert said.err == f"mailhub: {tmp_path}/nowhere.ini: No such file or directory\n"


def test_mistakes_in_the_configuration(mailhub: Mailhub, tmp_path: Path) -> None:
    """Each mistake of a configuration is a line."""
    path = tmp_path / "mailhub.ini"
    path.write_text("[hub]\nhostname = box\n[smtp]\nrecipients = 1\n")
    said = mailhub("--config", str(path), "domain", "list")
    assert said.status == main.FAILED
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"mailhub: {path}: [") for line in lines)


def test_bugs_are_not_hidden(mailhub: Mailhub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no mistake of the user keeps its traceback."""

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(main.cli, "main", broken)
    with pytest.raises(KeyError):
        mailhub("check")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (click.exceptions.Abort(), main.INTERRUPTED),
        (PermissionError(13, "Permission denied", "/x"), main.FAILED),
    ],
)
def test_statuses(
    mailhub: Mailhub, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """Interruptions and failures of the system have their status and their line."""

    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(main.cli, "main", failing)
    said = mailhub("check")
    assert said.status == status
    assert said.err.count("\n") == 1


def test_exit() -> None:
    """The entrance exits with the status."""
    with pytest.raises(SystemExit) as caught:
        main.main(["--version"])
    assert caught.value.code == main.OK


def test_start() -> None:
    """--help answers at once: nothing heavy is imported for it."""
    code = (
        "import sys; from mailhub.cli.main import run; run(['--help']);"
        "print([it for it in ('twisted', 'cryptography', 'argon2', 'rich') if it in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 2
    assert done.stdout.endswith("[]\n")


def test_terminals_of_old(state: Path) -> None:
    """What a terminal cannot show is shown as a question mark."""
    with Accounts(state / "accounts.db") as accounts:
        accounts.add_domain("xn--bcher-kva.example")
    code = "from mailhub.cli.main import main; main(['domain', 'list'])"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "MAILHUB_STATE": str(state)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "b?cher.example" in done.stdout


def test_broken_pipe() -> None:
    """A reader that goes away is no failure."""
    code = "import os, sys; from mailhub.cli.main import main; main(['--help'])"
    command = f'{sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
