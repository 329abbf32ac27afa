"""Special uses guessed from names, and only once."""

from __future__ import annotations

from pathlib import Path

from mailhub.store.guess import NAMES, special_uses
from tests.rig import run
from tests.store.world import Hub


def test_guess() -> None:
    """The likeliest name has the use, in any case, at the top before below INBOX."""
    names = ["INBOX", "INBOX/Sent", "sent items", "Entwürfe", "Work/Trash", "[Gmail]/Spam", "SENT"]
    assert special_uses(names) == {
        "SENT": ("\\Sent",),
        "Entwürfe": ("\\Drafts",),
        "[Gmail]/Spam": ("\\Junk",),
    }
    assert special_uses(["INBOX/Sent"]) == {"INBOX/Sent": ("\\Sent",)}
    assert special_uses(["INBOX", "Work"]) == {}


def test_table() -> None:
    """No name means two things."""
    names = [name for candidates in NAMES.values() for name in candidates]
    assert len(names) == len(set(names))
    assert names == [name.casefold() for name in names]


def test_adopted(tmp_path: Path) -> None:
    """A maildir that another program made gets its uses when it is first opened, not again."""
    maildir = tmp_path / "mail/hub.example/ann"
    for folder in ("", ".Sent Items", ".Gel&APY-schte Objekte", ".Work"):
        for part in ("cur", "new", "tmp"):
            (maildir / folder / part).mkdir(parents=True)
    world = Hub(tmp_path)

    def uses() -> dict[str, tuple[str, ...]]:
        return {row.name: row.special_use for row in run(world.store.list()) if row.special_use}

    assert uses() == {"Sent Items": ("\\Sent",), "Gelöschte Objekte": ("\\Trash",)}
    world.store.profiles.use(b".Sent Items", ())
    world.restart()
    assert uses() == {"Gelöschte Objekte": ("\\Trash",)}


def test_own(tmp_path: Path) -> None:
    """A maildir of our own keeps to what it was made with."""
    world = Hub(tmp_path, mailboxes=("Sent",))
    run(world.store.create("Trash"))
    world.restart()
    assert [row.special_use for row in run(world.store.list())] == [(), (), ()]
