"""A hub's state directory, and command lines run against it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Cost
from mailhub.cli import account, init, main


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mailhub = Callable[..., Said]
CHEAP = Cost(memory=8, passes=1, iterations=4096)


@pytest.fixture
def mailhub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mailhub:
    """Runs a command line in this process; passwords cost nothing."""
    kept = account.kept

    def cheap(text: str, _cost: Cost) -> Any:
        return kept(text, CHEAP)

    monkeypatch.setattr(account, "kept", cheap)
    monkeypatch.setattr(init, "kept", cheap)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("MAILHUB_STATE", "MAILHUB_CONFIG", "MAILHUB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, stdin: str = "") -> Said:
        octets = io.BytesIO(stdin.encode(errors="surrogateescape"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(octets, encoding="utf-8"))
        status = main.run(arguments)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a domain."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    with Accounts(directory / "accounts.db") as accounts:
        accounts.add_domain("hub.example")
    return directory
