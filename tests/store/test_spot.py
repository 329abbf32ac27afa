"""What rights come to: refusals that say no more than they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.imap import mutf7
from mailhub.mail.rights import Rights
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import maildir
from mailhub.store.spot import Spot
from tests.rig import run
from tests.store.test_reach import Hub as ReachHub
from tests.store.world import Hub


@pytest.mark.parametrize(
    ("rights", "needed", "fault"),
    [
        ("lr", "r", None),
        ("lr", "", None),
        ("r", "r", None),
        ("l", "r", StoreFault.NO_PERMISSION),
        ("lr", "rw", StoreFault.NO_PERMISSION),
        ("r", "w", StoreFault.NONEXISTENT),
        ("", "r", StoreFault.NONEXISTENT),
    ],
)
def test_need(tmp_path: Path, rights: str, needed: str, fault: StoreFault | None) -> None:
    """All rights are there, or it depends on lookup what is said."""
    spot = Spot(Hub(tmp_path).store, "INBOX", own=False, rights=Rights(rights))
    if fault is None:
        assert spot.need(needed) is spot
        return
    with pytest.raises(StoreRefused) as caught:
        spot.need(needed)
    assert caught.value.fault is fault


def test_need_any(tmp_path: Path) -> None:
    """One of several is enough."""
    store = Hub(tmp_path).store
    Spot(store, "INBOX", own=False, rights=Rights("ls")).need_any("rs")
    with pytest.raises(StoreRefused):
        Spot(store, "INBOX", own=False, rights=Rights("lk")).need_any("rs")


def test_accounts_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the accounts cannot be read that is said, in the store's words."""
    hub = ReachHub(tmp_path)

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for name in ("account", "by_id", "sharers"):
        monkeypatch.setattr(hub.sharing.principals, name, broken)
    for work in (hub.ann.status("Other Users/bob@hub.example"), hub.ann.list()):
        with pytest.raises(StoreRefused) as caught:
            run(work)
        assert caught.value.fault is StoreFault.SERVER_BUG
    assert not hub.ann.admin


def test_composed(tmp_path: Path) -> None:
    """A name means its NFC, unless a mailbox is called just as it says (RFC 9051 §5.1)."""
    hub = ReachHub(tmp_path)
    reach = hub.ann
    composed, apart = "Gr\u00fcn", "Gru\u0308n"
    run(reach.create(apart))
    assert run(reach.open(composed)).name == run(reach.open(apart)).name == composed
    directory = reach._own.path + b"/." + mutf7.encode(apart)
    maildir.make(hub.sharing.ground.files, directory, folder=True)
    assert run(reach.open(apart)).name == apart
    assert run(reach.open(composed)).name == composed
