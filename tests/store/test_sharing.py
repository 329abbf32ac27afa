"""What all reaches have in common; most of it is tried through them, in test_reach."""

from __future__ import annotations

from pathlib import Path as FilePath

from mailhub.mail.address import Path
from mailhub.store.sharing import shown_name
from tests.rig import run
from tests.store.test_reach import ANN, ANNS, BOB, Hub


def test_shown_name() -> None:
    """The owner's address is one level, and alone the INBOX."""
    assert shown_name("Other/", Path("Ann", "hub.example"), "INBOX") == "Other/ann@hub.example"
    odd = shown_name("Other/", Path("a/b%2F", "hub.example"), "INBOX/x")
    assert odd == "Other/a%2Fb%252f@hub.example/INBOX/x"


def test_one_visit(tmp_path: FilePath) -> None:
    """A visitor's sessions share one visit, which goes with the last of them."""
    hub = Hub(tmp_path)
    run(hub.ann.set_acl("Sent", "anyone", "lr"))
    again = hub.reach(BOB)
    first, second = run(hub.bob.open(f"{ANNS}/Sent")), run(again.open(f"{ANNS}/Sent"))
    assert first is second
    assert run(hub.eve.open(f"{ANNS}/Sent")) is not first
    base = run(hub.world.stores.of(ANN)).mailboxes[b".Sent"]
    assert base.users == 2
    run(first.release())
    run(second.release())
    assert base.users == 1
    assert run(hub.bob.open(f"{ANNS}/Sent")) is not first


def test_unreadable_list(tmp_path: FilePath) -> None:
    """A list that cannot be read lets nobody in but its owner, who can mend it."""
    hub = Hub(tmp_path)
    run(hub.ann.set_acl("Sent", "anyone", "lr"))
    file = tmp_path / "mail/hub.example/ann/.Sent/dovecot-acl"
    file.unlink()
    file.mkdir()
    store = run(hub.world.stores.of(ANN))
    assert hub.sharing.rights(BOB, store, b".Sent") == ""
    assert hub.sharing.rights(ANN, store, b".Sent") == "la"


def test_lists_are_looked_for_once(tmp_path: FilePath) -> None:
    """Each account's lists are looked for when it first logs in."""
    hub = Hub(tmp_path)
    hub.people.shares.clear()
    (tmp_path / "mail/hub.example/ann/.Sent/dovecot-acl").write_text("anyone lr\n-owner a\n")
    hub.reach(ANN)
    assert hub.people.shares == set()
    fresh = Hub(tmp_path)
    assert fresh.people.shares == {("anyone", ANN.id)}


def test_posting(tmp_path: FilePath) -> None:
    """Mail with a subaddress goes where its sender may post, and else to the INBOX."""
    hub = Hub(tmp_path)
    run(hub.ann.create("Lists"))
    post = hub.sharing.posting
    assert post(ANN, "lists", None) == "INBOX"
    run(hub.ann.set_acl("Lists", "$team", "p"))
    assert post(ANN, "lists", BOB) == "Lists"
    assert post(ANN, "lists", None) == "INBOX"
    run(hub.ann.set_acl("Lists", "anyone", "p"))
    assert post(ANN, "LISTS", None) == "Lists"
    assert post(ANN, "nowhere", None) == "INBOX"
    assert post(ANN, "../x", None) == "INBOX"
    run(hub.ann.set_acl("Lists", "-$team", "p"))
    assert post(ANN, "lists", BOB) == "INBOX"
