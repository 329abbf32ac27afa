"""Passwords are kept as hashes, and every spelling of one is the same."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from mailhub.accounts.password import Cost, UnusablePassword, outdated, secret, verify
from mailhub.sasl.scram import derived

CHEAP = Cost(memory=64, passes=1, iterations=4096)


@pytest.mark.parametrize(
    "password",
    ["xyzzy!", " two  words ", "quo\"te'd", "#\\;=,", "pässwörd", "密码", "🐎 battery", "a" * 1024],
)
def test_any_password(password: str) -> None:
    """What people type is a password: blanks, quotes, every script."""
    kept = secret(password, CHEAP, os.urandom)
    assert password not in kept.hash
    assert verify(kept.hash, password)
    assert not verify(kept.hash, password + "x")
    assert not verify(kept.hash, "")
    assert kept.scram == derived(password, kept.scram.salt, 4096)


def test_spellings() -> None:
    """Composed, decomposed, with a no-break space or a soft hyphen: one password (RFC 4013 §2)."""
    kept = secret("ü x", CHEAP, os.urandom)
    for spelling in ("ü x", "u\u0308 x", "ü\u00a0x", "\u00adü x"):
        assert verify(kept.hash, spelling)
        assert secret(spelling, CHEAP, bytes).scram == secret("ü x", CHEAP, bytes).scram


@pytest.mark.parametrize("password", ["", "\u00ad", "a\0b", "line\nbreak", "\udc80", "x" * 1025])
def test_unusable(password: str) -> None:
    """What no client could send is refused in one line, and opens nothing."""
    with pytest.raises(UnusablePassword, match=r"^[^\n]+$"):
        secret(password, CHEAP, os.urandom)
    assert not verify(secret("x", CHEAP, os.urandom).hash, password)


def test_damaged_hash() -> None:
    """A hash that is none opens nothing."""
    assert not verify("$argon2id$nonsense", "x")


def test_salts() -> None:
    """Two accounts with one password have nothing in common."""
    first, second = (secret("x", CHEAP, os.urandom) for _ in range(2))
    assert first.hash != second.hash
    assert first.scram.stored_key != second.scram.stored_key


def test_outdated() -> None:
    """Any other parameter makes a secret old; too few iterations are never made."""
    kept = secret("x", CHEAP, os.urandom)
    assert not outdated(kept, CHEAP)
    assert outdated(kept, replace(CHEAP, memory=128))
    assert outdated(kept, replace(CHEAP, passes=2))
    assert outdated(kept, replace(CHEAP, iterations=5000))
    assert not outdated(kept, replace(CHEAP, iterations=1))
