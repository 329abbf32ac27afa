"""mailhub init."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from mailhub.cli import init
from mailhub.config.load import load
from tests.cli.conftest import Mailhub

ANN = "ann@hub.example"


def test_fresh(mailhub: Mailhub, tmp_path: Path) -> None:
    """State, configuration, certificate, domain and account are made, and told."""
    state = tmp_path / "state"
    said = mailhub(
        *("--state", str(state), "init", ANN, "--hostname", "mail.hub.example", "--generate")
    )
    assert said.status == 0
    assert state.stat().st_mode & 0o777 == 0o700
    settings = load(state / "mailhub.ini")
    assert (settings.hub.hostname, settings.hub.state) == ("mail.hub.example", str(state))
    assert os.path.exists(f"{settings.hub.tls}/self-signed.pem")
    assert f"{ANN} added, password " in said.out
    assert f"mailhub --config {state}/mailhub.ini" in said.out
    [row] = mailhub("--state", str(state), "account", "list", "--json").json
    assert row["address"] == ANN
    assert mailhub("--config", f"{state}/mailhub.ini", "check").status == 0


def test_again(mailhub: Mailhub, tmp_path: Path) -> None:
    """What is there stays as it is, and what is missing is added."""
    at = ("--state", str(tmp_path / "state"), "init")
    mailhub(*at, ANN, "--hostname", "mail.hub.example", "--generate")
    said = mailhub(*at, ANN, "--generate")
    assert said.out.startswith(f"{ANN} is an account already\n")
    said = mailhub(*at, "bo@other.example", "--password", "x")
    assert said.out.startswith("other.example is hosted here\nbo@other.example added\n")
    said = mailhub(*at, ANN, "--hostname", "another.example")
    assert said.status == 2
    assert "is there already" in said.err


def test_config_elsewhere(mailhub: Mailhub, tmp_path: Path) -> None:
    """The configuration may lie anywhere; a state directory that it names is made."""
    ini = tmp_path / "etc" / "mailhub.ini"
    ini.parent.mkdir()
    ini.write_text(f"[hub]\nhostname = hub.example\nstate = {tmp_path}/var/hub\n")
    said = mailhub("--config", str(ini), "init", ANN, "--password", "x")
    assert said.status == 0
    assert (tmp_path / "var" / "hub" / "accounts.db").exists()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("ann", "--hostname", "hub.example"), 1),
        ((ANN, "--hostname", "hub"), 2),
        ((ANN, "--hostname", "hub.example", "--user", "no-such-user"), 1),
    ],
)
def test_refused(mailhub: Mailhub, tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    """Mistakes are told before anything is made."""
    said = mailhub("--state", str(tmp_path / "s"), "init", *arguments, "--generate")
    if os.geteuid() != 0 and "--user" in arguments:
        status = 2
    assert said.status == status
    assert not (tmp_path / "s" / "accounts.db").exists()


def test_machine_without_a_name(
    mailhub: Mailhub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has no full name must be given one."""
    monkeypatch.setattr(init, "own_name", lambda: "box")
    said = mailhub("--state", str(tmp_path / "s"), "init", ANN, "--generate")
    assert said.status == 2
    assert 'calls itself "box"' in said.err


def test_user(mailhub: Mailhub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root makes the state directory for the user that the hub runs as, and becomes it."""
    me = pwd.getpwuid(os.geteuid())
    became: list[pwd.struct_passwd] = []
    owned: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owned.append((path, uid, gid)))
    monkeypatch.setattr(init, "become", became.append)
    at = ("--state", str(tmp_path / "s"), "init", ANN, "--hostname", "hub.example")
    assert mailhub(*at, "--generate", "--user", me.pw_name).status == 0
    assert became == [me]
    assert owned == [(str(tmp_path / "s"), me.pw_uid, me.pw_gid)]


def test_user_without_being_root(
    mailhub: Mailhub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only root can make it for somebody else."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = mailhub("--state", str(tmp_path / "s"), "init", ANN, "--user", "root")
    assert (said.status, "--user is for root" in said.err) == (2, True)
