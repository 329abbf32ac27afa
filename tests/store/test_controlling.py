"""Entries of access control lists as they are given; who may is tried in test_reach."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from mailhub.mail.rights import ALL
from mailhub.ports.store import StoreFault, StoreRefused
from tests.rig import run
from tests.store.test_reach import Hub


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    return Hub(tmp_path)


def entries(hub: Hub) -> dict[str, str]:
    found = dict(run(hub.ann.acl("Sent")))
    assert found.pop("ann@hub.example")
    return {name: str(given) for name, given in found.items()}


def test_spellings(hub: Hub) -> None:
    """Identifiers are taken without regard to case, and addresses without their domain."""
    for identifier in ("ANYONE", "Bob@Hub.Example", "-eve", "$team", "-Authenticated"):
        run(hub.ann.set_acl("Sent", identifier, "r"))
    expected = ["anyone", "bob@hub.example", "-eve@hub.example", "$team", "-authenticated"]
    assert entries(hub) == dict.fromkeys(expected, "r")
    text = (hub.world.root / "mail/hub.example/ann/.Sent/dovecot-acl").read_text()
    assert text.splitlines()[1] == "user=bob@hub.example r"


def test_changes(hub: Hub) -> None:
    """Rights are replaced, added and taken; an entry without any is none."""
    run(hub.ann.set_acl("Sent", "bob", "lr"))
    run(hub.ann.set_acl("Sent", "bob", "+s"))
    assert entries(hub) == {"bob@hub.example": "lrs"}
    run(hub.ann.set_acl("Sent", "bob", "-lrs"))
    assert entries(hub) == {}
    run(hub.ann.set_acl("Sent", "bob", "l"))
    run(hub.ann.set_acl("Sent", "bob", ""))
    assert entries(hub) == {}


def test_owner(hub: Hub) -> None:
    """An owner's entry may be without rights: lookup and administer stay."""
    run(hub.ann.set_acl("Sent", "ann", ""))
    assert run(hub.ann.rights("Sent")) == "la"
    run(hub.ann.delete_acl("Sent", "ann@hub.example"))
    assert run(hub.ann.rights("Sent")) == ALL


def test_unknown_right_changes_nothing(hub: Hub) -> None:
    """A letter that is no right is refused before anything is written."""
    run(hub.ann.set_acl("Sent", "bob", "lr"))
    with pytest.raises(ValueError, match="q"):
        run(hub.ann.set_acl("Sent", "bob", "+q"))
    assert entries(hub) == {"bob@hub.example": "lr"}


def test_nobody(hub: Hub) -> None:
    """A mailbox that is not there has no list."""
    with pytest.raises(StoreRefused) as caught:
        run(hub.ann.set_acl("Nowhere", "bob", "lr"))
    assert caught.value.fault is StoreFault.NONEXISTENT
