"""Groups and their members, and the hint of who shares with whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path as FilePath

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Secret
from mailhub.accounts.record import AccountsError, Group, address
from mailhub.ports.accounts import Account, Quota, ScramKeys

SECRET = Secret("$argon2id$…", ScramKeys(b"salt", 4096, b"stored", b"server"))
ANN, BOB = address("ann@hub.example"), address("bob@hub.example")


@pytest.fixture
def accounts(tmp_path: FilePath) -> Iterator[Accounts]:
    with Accounts(tmp_path / "accounts.db", clock=count().__next__) as database:
        database.add_domain("hub.example")
        database.add_account(ANN, SECRET)
        database.add_account(BOB, SECRET, Quota(mailboxes=7))
        yield database


def of(accounts: Accounts, text: str) -> Account:
    found = accounts.credentials(address(text))
    assert found is not None
    return found.account


def test_members(accounts: Accounts) -> None:
    """Accounts join and leave groups, and it counts at once."""
    ann, bob = of(accounts, "ann@hub.example"), of(accounts, "bob@hub.example")
    accounts.add_group("team")
    accounts.add_group("board")
    accounts.join("team", ANN)
    accounts.join("team", ANN)
    accounts.join("team", BOB)
    assert accounts.groups() == [Group("board", ()), Group("team", (ANN, BOB))]
    assert accounts.groups_of(ann.id) == {"team"}
    accounts.leave("team", ANN)
    assert accounts.groups_of(ann.id) == frozenset()
    assert accounts.groups_of(bob.id) == {"team"}
    accounts.remove_group("team")
    assert accounts.groups_of(bob.id) == frozenset()
    assert not accounts.is_group("team")


def test_members_are_accounts(accounts: Accounts) -> None:
    """Who is deleted leaves all groups, and shares nothing."""
    accounts.add_group("team")
    accounts.join("team", BOB)
    accounts.note_sharing(of(accounts, "bob@hub.example").id, ["anyone"])
    accounts.delete_account(BOB)
    assert accounts.groups() == [Group("team", ())]
    assert accounts.sharers(["anyone"]) == []


@pytest.mark.parametrize("name", ["", "Team", "a b", "$team", "-team", "x" * 65, "ann@hub.example"])
def test_names(accounts: Accounts, name: str) -> None:
    """A group's name could be no address and no other identifier."""
    with pytest.raises(AccountsError, match="cannot be a group's name"):
        accounts.add_group(name)


def test_mistakes(accounts: Accounts) -> None:
    """Each mistake is one line."""
    accounts.add_group("team")
    with pytest.raises(AccountsError, match="team is a group already"):
        accounts.add_group("team")
    with pytest.raises(AccountsError, match="there is no group board"):
        accounts.join("board", ANN)
    with pytest.raises(AccountsError, match="there is no group board"):
        accounts.remove_group("board")
    with pytest.raises(AccountsError, match=r"there is no account eve@hub\.example"):
        accounts.join("team", address("eve@hub.example"))
    with pytest.raises(AccountsError, match=r"ann@hub\.example is not in team"):
        accounts.leave("team", ANN)


def test_sharers(accounts: Accounts) -> None:
    """Those who named any of the identifiers, each once, and only while enabled."""
    ann, bob = of(accounts, "ann@hub.example"), of(accounts, "bob@hub.example")
    accounts.note_sharing(bob.id, ["anyone", "$team"])
    accounts.note_sharing(bob.id, ["anyone"])
    accounts.note_sharing(ann.id, ["$team"])
    assert [it.id for it in accounts.sharers(["$team", "anyone"])] == [ann.id, bob.id]
    assert [it.id for it in accounts.sharers(["anyone"])] == [bob.id]
    assert accounts.sharers(["anyone"])[0].quota.mailboxes == 7
    accounts.enable_account(BOB, enabled=False)
    assert accounts.sharers(["anyone"]) == []


def test_note_costs_nothing_twice(accounts: Accounts) -> None:
    """What is noted already is no change: nobody's answers are forgotten for it."""
    bob = of(accounts, "bob@hub.example")
    accounts.note_sharing(bob.id, ["anyone"])
    changes = accounts._db.total_changes
    accounts.note_sharing(bob.id, ["anyone"])
    assert accounts._db.total_changes == changes
