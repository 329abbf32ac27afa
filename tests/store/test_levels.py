"""Annotations of levels that are no mailboxes: they come, move and go with what lies below."""

from __future__ import annotations

import os
from pathlib import Path as FilePath

import pytest

from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import levels
from tests.rig import run
from tests.store.test_reach import Hub, fault

NOTE = {"/private/comment": b"ours"}


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    made = Hub(tmp_path)
    run(made.ann.create("A/B/C"))
    run(made.ann.set_metadata("A/B", NOTE))
    return made


def kept(hub: Hub) -> list[bytes]:
    """The files there are."""
    directory = hub.ann._own.path + b"/" + levels.DIRECTORY
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def test_asked(tmp_path: FilePath) -> None:
    """Asking leaves nothing behind."""
    hub = Hub(tmp_path)
    run(hub.ann.create("A/B"))
    assert run(hub.ann.metadata("A")) == {}
    assert levels.DIRECTORY not in os.listdir(hub.ann._own.path)


def test_there(hub: Hub) -> None:
    """A level has annotations of its own, and is no mailbox for that."""
    assert run(hub.ann.metadata("A/B")) == NOTE
    assert run(hub.ann.metadata("A")) == run(hub.ann.metadata("A/B/C")) == {}
    rows = {row.name: row for row in run(hub.ann.list())}
    assert not rows["A/B"].selectable
    assert fault(hub.ann.open("A/B")) is StoreFault.NONEXISTENT
    for name in ("A/X", "A/B/C/D", "Nowhere"):
        assert fault(hub.ann.set_metadata(name, NOTE)) is StoreFault.NONEXISTENT
    special = hub.ann.set_metadata("A/B", {"/private/specialuse": b"\\Sent"})
    assert fault(special) is StoreFault.CANNOT


def test_removed(hub: Hub) -> None:
    """With the last mailbox below a level its annotations go (RFC 5464 §4.1)."""
    run(hub.ann.create("A/Other"))
    run(hub.ann.set_metadata("A", NOTE))
    run(hub.ann.delete("A/B/C"))
    assert kept(hub) == [b".A,"]
    run(hub.ann.create("A/B/C"))
    assert run(hub.ann.metadata("A/B")) == {}


def test_renamed(hub: Hub) -> None:
    """They follow what is renamed, and what lies above it."""
    run(hub.ann.set_metadata("A", {"/private/a": b"1"}))
    run(hub.ann.rename("A", "X/Y"))
    assert run(hub.ann.metadata("X/Y")) == {"/private/a": b"1"}
    assert run(hub.ann.metadata("X/Y/B")) == NOTE
    assert run(hub.ann.metadata("X")) == {}
    run(hub.ann.rename("X/Y/B/C", "C"))
    assert kept(hub) == []


def test_made(hub: Hub) -> None:
    """A level that becomes a mailbox keeps them; a mailbox that is deleted does not."""
    run(hub.ann.create("A/B"))
    assert run(hub.ann.metadata("A/B")) == NOTE
    assert kept(hub) == []
    run(hub.ann.delete("A/B"))
    assert run(hub.ann.metadata("A/B")) == {}


def test_failing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be tidied up now stops nothing, and is tidied up the next time."""

    def fails(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(levels, "remove", fails)
    run(hub.ann.rename("A/B/C", "C"))
    monkeypatch.undo()
    assert kept(hub) == [b".A.B,"]
    run(hub.ann.create("D"))
    assert kept(hub) == []


def test_others(hub: Hub) -> None:
    """Nobody else knows of them."""
    with pytest.raises(StoreRefused):
        run(hub.bob.metadata("Other Users/ann@hub.example/A/B"))
