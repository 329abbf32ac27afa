"""Names are looked up, unknown ones get what known ones get, and memory is short."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path as FilePath

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.login import Claim, Memory, Recent, Register, refresh
from mailhub.accounts.password import Cost, outdated, secret
from mailhub.accounts.record import address

CHEAP = Cost(memory=64, passes=1, iterations=4096)
ALICE = address("alice@hub.example")
KAETHE = address("käthe@bücher.example")


@pytest.fixture
def accounts(tmp_path: FilePath) -> Iterator[Accounts]:
    with Accounts(tmp_path / "accounts.db", clock=count().__next__) as database:
        for path in (ALICE, KAETHE):
            database.add_domain(path.domain)
            database.add_account(path, secret("right", CHEAP, os.urandom))
        yield database


@pytest.fixture
def register(accounts: Accounts) -> Register:
    return Register(accounts, CHEAP, os.urandom, default_domain="hub.example")


def test_other_cost(register: Register) -> None:
    """What a hash costs may change: unknown names go on costing what real ones cost."""
    register.cost = Cost(memory=128, passes=2, iterations=5000)
    assert register.cost.passes == 2
    made = secret("x", register.cost, os.urandom)
    assert not outdated(replace(made, hash=register._nobody), register.cost)
    assert not register.matches(register.claim("nobody"), "x")


@pytest.mark.parametrize(
    ("username", "found"),
    [
        ("alice@hub.example", True),
        ("ALICE@Hub.Example", True),
        ("alice", True),
        ("alice@hub.example.", True),
        ("käthe@bücher.example", True),
        ("ka\u0308the@xn--bcher-kva.example", True),
        ("käthe", False),
        ("alice@elsewhere.example", False),
        ("alice\0@hub.example", False),
        ("", False),
        ("@", False),
        ("a" * 321 + "@hub.example", False),
        ("\udc80@hub.example", False),
    ],
)
def test_names(register: Register, username: str, found: bool) -> None:
    """Names are addresses in any spelling, or local parts of the default domain."""
    claim = register.claim(username)
    assert (claim.account is not None) is found
    assert register.matches(claim, "right") is found
    assert not register.matches(claim, "wrong")
    assert len(claim.key) <= 320


def test_no_default_domain(accounts: Accounts) -> None:
    """Without a default domain a bare name means nobody."""
    assert Register(accounts, CHEAP, os.urandom).claim("alice").account is None


def test_disabled(accounts: Accounts, register: Register) -> None:
    """A disabled account has a password, and may not log in."""
    accounts.enable_account(ALICE, False)
    claim = register.claim("alice")
    assert register.matches(claim, "right")
    assert claim.account is None


def test_made_up_keys(accounts: Accounts, register: Register) -> None:
    """Keys of unknown names look like others, are the same after a restart, and differ by name."""
    real = register.scram_keys(register.claim("alice"))
    made = register.scram_keys(register.claim("nobody"))
    again = Register(accounts, CHEAP, os.urandom, "hub.example")
    assert again.scram_keys(again.claim("Nobody@hub.example")) == made
    other = register.scram_keys(register.claim("somebody"))
    assert len({made.salt, made.stored_key, made.server_key, other.salt, real.salt}) == 5
    for one, two in ((real, made), (real, other)):
        assert len(one.salt) == len(two.salt)
        assert one.iterations == two.iterations
        assert len(one.stored_key) == len(two.stored_key)
        assert len(one.server_key) == len(two.server_key)


def test_odd_names_get_keys(register: Register) -> None:
    """Also a name that is no text gets keys."""
    assert register.scram_keys(register.claim("\udc80")).iterations == 4096


def test_refresh(accounts: Accounts) -> None:
    """A password is hashed anew from another thread's own connection."""
    dear = Cost(memory=128, passes=1, iterations=5000)
    before = accounts.credentials(ALICE)
    assert before is not None
    assert refresh(accounts.path, before, "right", dear, os.urandom)
    after = accounts.credentials(ALICE)
    assert after is not None
    assert after.version == before.version
    assert not outdated(after.secret, dear)
    assert not refresh("/nowhere/accounts.db", before, "right", dear, os.urandom)


class TestRecent:
    def claim(self, accounts: Accounts) -> Claim:
        return Claim(ALICE.key, accounts.credentials(ALICE))

    def test_short(self, accounts: Accounts) -> None:
        """A success is remembered for its time, and not across a step of the clock."""
        recent = Recent(b"key", Memory(seconds=60))
        mark = recent.mark(self.claim(accounts), "right")
        recent.add(mark, 100.0)
        assert recent.knows(mark, 159.0)
        assert not recent.knows(mark, 160.0)
        assert not recent.knows(mark, 99.0)

    def test_other_password(self, accounts: Accounts) -> None:
        """Another password, name, version or key is another mark."""
        recent = Recent(b"key")
        claim = self.claim(accounts)
        marks = {recent.mark(claim, "right"), recent.mark(claim, "wrong")}
        marks.add(recent.mark(Claim("x", None), "right"))
        marks.add(recent.mark(Claim("x\0", None), "right"))
        marks.add(Recent(b"other").mark(claim, "right"))
        accounts.set_secret(ALICE, secret("right", CHEAP, os.urandom))
        marks.add(recent.mark(self.claim(accounts), "right"))
        assert len(marks) == 6

    def test_bounded(self) -> None:
        """The oldest is forgotten first."""
        recent = Recent(b"key", Memory(entries=2))
        for mark in (b"1", b"2", b"1", b"3"):
            recent.add(mark, 0.0)
        assert [recent.knows(mark, 0.0) for mark in (b"1", b"2", b"3")] == [True, False, True]
