"""What the store asks about accounts, and faults of the database as faults of a disk."""

from __future__ import annotations

from itertools import count
from pathlib import Path as FilePath

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.principals import Principals
from mailhub.mail.address import Path
from mailhub.ports.accounts import Quota
from tests.accounts.test_groups import ANN, BOB, SECRET


def test_answers(tmp_path: FilePath) -> None:
    """Accounts by address while enabled, groups, sharers, quotas."""
    with Accounts(tmp_path / "accounts.db", clock=count().__next__) as accounts:
        accounts.add_domain("hub.example")
        ann = accounts.add_account(ANN, SECRET)
        accounts.add_account(BOB, SECRET)
        accounts.enable_account(BOB, enabled=False)
        accounts.add_group("team")
        accounts.join("team", ANN)
        found = Principals(accounts)
        assert found.account(ANN) == found.by_id(ann.id) == ann
        assert found.account(BOB) is None
        assert found.account(Path("none", "hub.example")) is None
        assert found.groups_of(ann.id) == {"team"}
        assert found.is_group("team")
        assert not found.is_group("board")
        found.note_sharing(ann.id, ["anyone"])
        assert found.sharers(["anyone"]) == [ann]
        found.set_quota(ANN, Quota(5, 6, 7))
        again = found.account(ANN)
        assert again is not None
        assert again.quota == Quota(5, 6, 7)
        with pytest.raises(OSError, match="there is no account none"):
            found.set_quota(Path("none", "hub.example"), Quota())
