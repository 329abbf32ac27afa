"""Passwords: what is kept of one, and whether another is the same. Slow on purpose.

Invariants:

1. Nothing that is kept gives the password back: an argon2id hash (RFC 9106)
   for PLAIN, LOGIN and POP3's PASS, and SCRAM keys (RFC 5802 §3).
2. Both are made of the password as `sasl.prep` prepares it: a secret that opens
   the account one way opens it every way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailhub.ports.accounts import ScramKeys
from mailhub.sasl.prep import prepared
from mailhub.sasl.scram import derived

SALT_OCTETS: Final = 16
"""Octets of a salt (RFC 9106 §3.1 recommends 16)."""
PASSWORD_LIMIT: Final = 1024
"""Characters of a password; longer ones only cost time."""
MIN_ITERATIONS: Final = 4096
"""The least that SCRAM-SHA-256 allows (RFC 7677 §4)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a password costs.

    Attributes:
        memory: KiB of argon2id.
        passes: Passes over that memory.
        lanes: Its degree of parallelism.
        iterations: Of PBKDF2, for SCRAM; at least `MIN_ITERATIONS`. Every client
            repeats them at each login.
    """

    memory: int = 19 * 1024
    passes: int = 2
    lanes: int = 1
    iterations: int = 10_000


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of a password.

    Attributes:
        hash: argon2id in PHC form, ``$argon2id$v=19$m=…``.
    """

    hash: str
    scram: ScramKeys


class UnusablePassword(ValueError):
    """A password that no client could send; the text says why."""


def secret(password: str, cost: Cost, entropy: Callable[[int], bytes]) -> Secret:
    """What to keep of a new password; `entropy` is `os.urandom` or the like.

    Raises:
        UnusablePassword: It is empty, too long, or holds control characters.
    """
    if len(password) > PASSWORD_LIMIT:
        raise UnusablePassword(f"a password has at most {PASSWORD_LIMIT} characters")
    try:
        text = prepared(password)
    except ValueError as error:
        raise UnusablePassword(f"unusable password: {error}") from None
    iterations = max(cost.iterations, MIN_ITERATIONS)
    return Secret(
        hash=_hasher(cost).hash(text, salt=entropy(SALT_OCTETS)),
        scram=derived(text, entropy(SALT_OCTETS), iterations),
    )


def verify(kept: str, password: str) -> bool:
    """Whether the password is the one whose hash was kept; takes as long either way."""
    if len(password) > PASSWORD_LIMIT:
        password = ""
    try:
        text = prepared(password)
    except ValueError:
        text = ""  # no hash is made of the empty password, and comparing takes its time
    try:
        return _hasher(Cost()).verify(kept, text)
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: Secret, cost: Cost) -> bool:
    """Whether the secret should be made anew, because passwords cost something else now."""
    iterations = max(cost.iterations, MIN_ITERATIONS)
    return kept.scram.iterations != iterations or _hasher(cost).check_needs_rehash(kept.hash)


@lru_cache(maxsize=8)
def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(
        time_cost=cost.passes,
        memory_cost=cost.memory,
        parallelism=cost.lanes,
        salt_len=SALT_OCTETS,
    )
