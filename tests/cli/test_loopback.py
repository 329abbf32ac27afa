"""What servers on loopback need before they run, and tell once they do."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from mailhub.cli.loopback import free_ports, locked, ready_file, write_facts


def test_free_ports_differ() -> None:
    """Every service gets a port of its own."""
    found = free_ports(["smtp", "imap", "pop3"])
    assert list(found) == ["smtp", "imap", "pop3"]
    assert len(set(found.values())) == 3


def test_facts_appear_whole(tmp_path: Path) -> None:
    """A program that waits for the file never reads half of it, nor finds another."""
    ready = tmp_path / "ready.json"
    write_facts({"pid": 7}, str(ready))
    assert json.loads(ready.read_text(encoding="utf-8")) == {"pid": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


def test_an_earlier_runs_facts_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes them for this run's; the name is good from any directory."""
    ready = tmp_path / "ready.json"
    ready.touch()
    monkeypatch.chdir(tmp_path)
    assert ready_file("ready.json") == str(ready)
    assert not ready.exists()
    assert ready_file("ready.json") == str(ready)
    assert ready_file(None) is None


def test_a_directory_is_one_processs(tmp_path: Path) -> None:
    """Who comes second is told so."""
    held = locked(str(tmp_path / "state"))
    with pytest.raises(click.ClickException):
        locked(str(tmp_path / "state"))
    held.release()
