"""Message flags: IMAP's names, maildir's letters, and the bits that mailboxes keep in memory.

Five system flags have fixed bits; keywords are numbered per mailbox, in the
order in which they were first used, and begin at `KEYWORD_SHIFT`.
"""

from __future__ import annotations

from typing import Final, NewType

Flags = NewType("Flags", int)
"""A set of flags as bits: the five system flags, then the mailbox's keywords."""

SEEN: Final = Flags(1)
ANSWERED: Final = Flags(2)
FLAGGED: Final = Flags(4)
DELETED: Final = Flags(8)
DRAFT: Final = Flags(16)

SYSTEM_FLAGS: Final[dict[str, Flags]] = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}
"""IMAP's names (RFC 3501 §2.3.2); compared without regard to case."""

MAILDIR_LETTERS: Final[dict[str, Flags]] = {
    "D": DRAFT,
    "F": FLAGGED,
    "R": ANSWERED,
    "S": SEEN,
    "T": DELETED,
}
"""The letters behind ``:2,`` in a maildir name, in the order in which they are written."""

KEYWORD_SHIFT: Final = 5
"""The bit of a mailbox's first keyword."""

KEYWORD_LIMIT: Final = 26
"""Keywords a mailbox can have: a maildir name spells them ``a`` to ``z``."""
