"""What a session hears of mailboxes that others share with its account."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from mailhub.ports.message import FlagAction
from mailhub.ports.store import Affair, Notice
from mailhub.store.reach import AccountReach
from tests.rig import run
from tests.store.test_reach import ANNS, BOB, ONE, Hub


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    return Hub(tmp_path)


def listening(reach: AccountReach) -> list[Notice]:
    """What a session hears from now on."""
    heard: list[Notice] = []
    reach.listen(heard.append)
    run(reach.overhear())
    return heard


def taken(heard: list[Notice]) -> list[tuple[Affair, str]]:
    found = [(notice.affair, notice.name) for notice in heard]
    heard.clear()
    return found


def test_messages(hub: Hub) -> None:
    """Messages and flags of what may be read, under the visitor's name; of nothing else."""
    run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
    run(hub.ann.create("Notes"))
    run(hub.ann.set_acl("Notes", "bob@hub.example", "l"))
    heard = listening(hub.bob)
    for name in ("INBOX", "Notes", "Sent"):
        hub.append(hub.ann, name)
    assert taken(heard) == [(Affair.MESSAGES, f"{ANNS}/Sent")]
    mailbox = run(hub.ann.open("Sent"))
    run(mailbox.store([ONE], FlagAction.ADD, ["\\Flagged"]))
    assert taken(heard) == [(Affair.FLAGS, f"{ANNS}/Sent")]
    run(mailbox.release())


def test_rights_come_and_go(hub: Hub) -> None:
    """The right to look up, given or taken, is news; others of the account hear nothing."""
    heard, eve = listening(hub.bob), listening(hub.eve)
    run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
    assert taken(heard) == [(Affair.GRANTED, f"{ANNS}/Sent")]
    hub.append(hub.ann, "Sent")
    assert taken(heard) == [(Affair.MESSAGES, f"{ANNS}/Sent")]
    run(hub.ann.set_acl("Sent", "bob@hub.example", "+i"))
    assert taken(heard) == []
    run(hub.ann.delete_acl("Sent", "bob@hub.example"))
    assert taken(heard) == [(Affair.REVOKED, f"{ANNS}/Sent")]
    hub.append(hub.ann, "Sent")
    assert taken(heard) == []
    assert eve == []


def test_groups(hub: Hub) -> None:
    """Who joins or leaves a group hears of it at the next look."""
    run(hub.ann.set_acl("Sent", "$team", "lr"))
    heard = listening(hub.bob)
    hub.people.groups["team"].clear()
    run(hub.sharing.look())
    assert taken(heard) == [(Affair.REVOKED, f"{ANNS}/Sent")]
    hub.people.groups["team"].add(BOB.id)
    run(hub.sharing.look())
    assert taken(heard) == [(Affair.GRANTED, f"{ANNS}/Sent")]


def test_names(hub: Hub) -> None:
    """Names come, move and go, as far as the visitor may see them."""
    run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
    heard = listening(hub.bob)
    run(hub.ann.create("Sent/Old"))  # with the list of the one above
    assert taken(heard) == [(Affair.CREATED, f"{ANNS}/Sent/Old")]
    run(hub.ann.create("Mine"))
    run(hub.ann.rename("Mine", "Ours"))
    assert taken(heard) == []
    run(hub.ann.rename("Sent", "Gone"))
    assert heard == [Notice(Affair.RENAMED, f"{ANNS}/Gone", f"{ANNS}/Sent")]
    heard.clear()
    run(hub.ann.delete("Gone/Old"))
    assert taken(heard) == [(Affair.DELETED, f"{ANNS}/Gone/Old")]


def test_end(hub: Hub) -> None:
    """Who listens no more leaves nothing behind; who never did is not listened for."""
    run(hub.ann.set_acl("Sent", "bob@hub.example", "lr"))
    run(hub.bob.overhear())
    heard = listening(hub.bob)
    run(hub.bob.overhear())  # once is enough
    hub.append(hub.ann, "Sent")
    assert len(taken(heard)) == 1
    hub.bob.unlisten(heard.append)
    assert not hub.sharing.ears
    hub.append(hub.ann, "Sent")
    assert heard == []
