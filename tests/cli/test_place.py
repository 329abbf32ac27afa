"""Which hub a command is about, and as whom it touches it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import click
import pytest

from mailhub.cli import place
from mailhub.cli.place import Place, become, become_owner


def test_files(tmp_path: Path) -> None:
    """--config wins; else the state directory's own file, if it has one; else the system's."""
    inside = tmp_path / "mailhub.ini"
    assert Place(str(tmp_path), None).file is None
    inside.touch()
    assert Place(str(tmp_path), None).file == str(inside)
    assert Place(str(tmp_path), "/x.ini").file == "/x.ini"
    assert Place(None, None).file == place.SYSTEM_FILE


def test_state_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--state overrides the state directory of the file, and may be relative."""
    ini = tmp_path / "x.ini"
    ini.write_text("[hub]\nhostname = hub.example\nstate = /elsewhere\n")
    monkeypatch.chdir(tmp_path)
    assert Place("here", str(ini)).settings().hub.state == str(tmp_path / "here")
    assert Place(None, str(ini)).settings().hub.state == "/elsewhere"


def test_ours(tmp_path: Path) -> None:
    """A directory of our own needs no other user."""
    become_owner(str(tmp_path))
    become(pwd.getpwuid(os.geteuid()))


def test_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's directory is left alone, unless we are root: then we become that user."""
    became: list[int] = []
    owner = os.stat(tmp_path).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(click.ClickException, match="belongs to another user"):
        become_owner(str(tmp_path))
    monkeypatch.setattr(os, "initgroups", lambda _name, group: became.append(group))
    monkeypatch.setattr(os, "setgid", became.append)
    monkeypatch.setattr(os, "setuid", became.append)
    me = pwd.getpwuid(owner)
    become(me)
    assert became == [me.pw_gid, me.pw_gid, owner]


def test_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root becomes the owner; an owner without a name cannot be become."""
    became: list[pwd.struct_passwd] = []

    class Status:
        st_uid = 4_000_000

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "stat", lambda _path: Status)
    monkeypatch.setattr(place, "become", became.append)
    with pytest.raises(click.ClickException, match="a user without a name"):
        become_owner(str(tmp_path))
    me = pwd.getpwnam("nobody")
    monkeypatch.setattr(Status, "st_uid", me.pw_uid)
    become_owner(str(tmp_path))
    assert became == [me]
