"""Uploads: in memory while small, then in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.ports.message import Appending, Upload
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.limits import Limits
from tests.rig import run
from tests.store.world import FailingFiles, Hub, contents


def hub_with(path: Path, **more: object) -> Hub:
    hub = Hub(path, limits=Limits(upload_memory=10), **more)  # type: ignore[arg-type]
    run(hub.stores.of(hub.account))
    return hub


def in_tmp(hub: Hub) -> list[str]:
    return os.listdir(hub.maildir / "tmp")


@pytest.mark.parametrize("pieces", [[b"12345", b"67890"], [b"1234567", b"89012", b"345"], []])
def test_whole(tmp_path: Path, pieces: list[bytes]) -> None:
    """What was written is appended, and nothing is left behind."""
    hub = hub_with(tmp_path)
    upload: Upload = run(hub.store.upload())
    for piece in pieces:
        run(upload.write(piece))
    assert bool(in_tmp(hub)) == (sum(map(len, pieces)) > 10)
    run(hub.store.append("INBOX", [Appending(upload)]))
    assert in_tmp(hub) == []
    assert run(contents(hub.open())) == [b"".join(pieces)]


def test_aborted(tmp_path: Path) -> None:
    """An upload that is given up leaves nothing, and cannot be appended."""
    hub = hub_with(tmp_path)
    upload = run(hub.store.upload())
    run(upload.write(b"x" * 50))
    run(upload.abort())
    run(upload.abort())
    assert in_tmp(hub) == []
    with pytest.raises(StoreRefused) as refused:
        run(hub.store.append("INBOX", [Appending(upload)]))
    assert refused.value.fault is StoreFault.SERVER_BUG


def test_disk_fails(tmp_path: Path) -> None:
    """An error while it is written is SERVERBUG, and the rest cannot be appended."""
    hub = hub_with(tmp_path, files=(files := FailingFiles()))
    for at in range(2):
        upload = run(hub.store.upload())
        files.arm(at)
        with pytest.raises(StoreRefused) as refused:
            run(upload.write(b"x" * 50))
        assert refused.value.fault is StoreFault.SERVER_BUG
        files.disarm()
        with pytest.raises(StoreRefused):
            run(hub.store.append("INBOX", [Appending(upload)]))
    assert in_tmp(hub) == []
