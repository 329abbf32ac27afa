"""The demo, before it listens; `tests/interop` runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import tempfile
from pathlib import Path

import pytest

from mailhub.accounts.database import Accounts
from mailhub.cli import demo
from mailhub.config.load import load
from mailhub.mail.address import parse_address
from mailhub.policy.route import Smarthost, route


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    return demo.prepare(str(tmp_path_factory.mktemp("demo") / "it's here"), demo.PORTS, 2526)


def test_its_configuration_is_good(made: demo.Demo) -> None:
    """It is a hub like any other: its file has no mistakes, and the usual ports."""
    settings = load(made.file)
    assert settings.hub.hostname == "hub.example"
    assert {name: it[0].port for name, it in settings.listen.all().items()} == demo.PORTS


def test_loopback_only(made: demo.Demo) -> None:
    """Nothing of it can be reached from outside."""
    settings = load(made.file)
    assert not any(it.public for found in settings.listen.all().values() for it in found)


def test_other_domains_go_to_the_world(made: demo.Demo) -> None:
    """Mail for any domain but its own is relayed to the world's port."""
    hop = route(
        parse_address("alice@hub.example"),
        parse_address("x@far.example"),
        load(made.file).routes,
    )
    assert isinstance(hop, Smarthost)
    assert (hop.host, hop.port) == ("127.0.0.1", made.world)


def test_accounts(made: demo.Demo) -> None:
    """Alice, bob and world are there, and starting once more changes nothing."""
    demo.prepare(made.state, demo.PORTS, 2526)
    with Accounts(load(made.file).hub.accounts) as accounts:
        found = [str(account.path) for account in accounts.accounts()]
    assert found == ["alice@hub.example", "bob@hub.example", "world@hub.example"]


def test_state_is_private(made: demo.Demo) -> None:
    """Other users of the machine cannot read it."""
    assert stat.S_IMODE(Path(made.state).stat().st_mode) == 0o700


def test_ready_file(made: demo.Demo) -> None:
    """It tells a program all that it needs."""
    facts = json.loads(json.dumps(demo._facts(made)))
    assert facts["host"] == "localhost"
    assert facts["ports"] == demo.PORTS
    assert Path(facts["ca"]).exists()
    assert {"address": "alice@hub.example", "password": demo.PASSWORD} in facts["accounts"]


def _commands(made: demo.Demo) -> list[list[str]]:
    """What a person would copy, as a shell reads it."""
    _, _, text = demo.invitation(made).partition("another terminal:\n")
    blocks = re.split(r"^- .*:$", text, flags=re.MULTILINE)[1:]
    return [shlex.split(block) for block in blocks]


def test_commands_can_be_copied(made: demo.Demo) -> None:
    """Each is whole: the program by its path, and good in any directory."""
    commands = _commands(made)
    assert len(commands) == 7
    for words in commands:
        program = "curl" if "curl" in words else words[0]
        assert program == "curl" or os.access(program, os.X_OK)
        assert made.state in words or made.ca in words


def test_commands_fit_a_terminal() -> None:
    """Lines are broken where a shell allows it; odd names are quoted."""
    odd = demo.Demo("/home/it's here", demo.PORTS, 1, "/home/it's here/tls/ca.pem")
    commands = _commands(odd)
    assert sum(odd.state in words for words in commands) == 4
    assert sum(odd.ca in words for words in commands) == 3
    program = max(len(words[0]) for words in commands)  # where this environment lies
    assert max(map(len, demo.invitation(odd).splitlines())) <= max(100, 10 + program)


def test_fresh_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the user's cache, or where temporary files are if that cannot be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Path(demo._fresh_directory()).parent == tmp_path / "cache" / "mailhub"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert Path(demo._fresh_directory()).parent == tmp_path
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert Path(demo._fresh_directory()).parent == tmp_path
