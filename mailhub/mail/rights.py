r"""Access rights of mailboxes, and access control lists (RFC 4314): letters, entries, who may what.

Rights are text, one letter each in the order of `ALL`, so that ``"r" in rights``
says what it means.  An access control list is a mapping from *identifiers*, spelt as
on the wire, to rights: an account's address, ``anyone``, ``authenticated``, ``owner``,
or a group's name behind ``$``, as Dovecot spells it.  A ``-`` before any of these
takes rights away (RFC 4314 §2).

Invariants:

1. What somebody may do is the union of what all identifiers that mean them grant,
   less the union of what their negative ones take.
2. A mailbox's owner may always look it up and administer it, so that no list locks
   its owner out; without an entry of its own the owner may do everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NewType

Rights = NewType("Rights", str)
"""Letters of `ALL`, in its order, none twice."""
Acl = Mapping[str, Rights]
"""An access control list: rights by identifier."""

ALL: Final = Rights("lrswipkxtea")
"""Lookup, read, keep seen, write flags, insert, post, create, delete the mailbox, delete
messages, expunge, administer (RFC 4314 §2.1)."""
NONE: Final = Rights("")
OWNERS: Final = Rights("la")
"""What no list takes from an owner."""
NEW: Final = "kxte"
"""The rights that RFC 2086 did not have, as the capability RIGHTS= tells them (RFC 4314 §2.2)."""
VIRTUAL: Final[Mapping[str, str]] = {"c": "kx", "d": "te"}
"""What RFC 2086 called them (RFC 4314 §2.1.1); ``x`` may stand with either, and Dovecot and Cyrus
have it so."""

_FLAGS: Final = {"\\seen": "s", "\\deleted": "t"}
"""Flags with a right of their own; all others need ``w``."""

ANYONE: Final = "anyone"
AUTHENTICATED: Final = "authenticated"
OWNER: Final = "owner"
GROUP: Final = "$"
"""Stands before a group's name."""
NEGATIVE: Final = "-"
"""Stands before an identifier whose rights are taken away."""


def rights(letters: Iterable[str]) -> Rights:
    """Rights of letters in any order; virtual ones become what they stand for.

    Raises:
        ValueError: A letter that is no right.
    """
    given = set(letters)
    for virtual in given & VIRTUAL.keys():
        given = given - {virtual} | set(VIRTUAL[virtual])
    if unknown := given - set(ALL):
        raise ValueError(min(unknown))
    return _ordered(given)


def _ordered(letters: Iterable[str]) -> Rights:
    given = set(letters)
    return Rights("".join(letter for letter in ALL if letter in given))


def union(*several: str) -> Rights:
    """What any of these grants."""
    return _ordered("".join(several))


def without(some: str, taken: str) -> Rights:
    """What is left of some rights."""
    return _ordered(set(some) - set(taken))


def shown(some: Rights) -> str:
    """As responses give them: virtual rights are told with each of their members (RFC 4314 §2.1.1).

    Clients of RFC 2086 look for those alone.
    """
    told = "".join(name for name, members in VIRTUAL.items() if set(members) & set(some))
    return some + told


def modified(before: Rights, change: str) -> Rights:
    """Rights after SETACL's third argument: a set, or one to add or to take (RFC 4314 §3.1).

    Raises:
        ValueError: A letter that is no right.
    """
    if change.startswith("+"):
        return union(before, rights(change[1:]))
    if change.startswith("-"):
        return without(before, rights(change[1:]))
    return rights(change)


def identities(address: str, groups: Iterable[str] = ()) -> frozenset[str]:
    """The identifiers that mean an account, by its address (`Path.key`) and its groups."""
    return frozenset({address, ANYONE, AUTHENTICATED, *(GROUP + name for name in groups)})


def granted(acl: Acl, who: frozenset[str], *, owner: bool = False) -> Rights:
    """What those whom the identifiers in `who` mean may do; they may be the mailbox's owner."""
    if owner:
        who |= {OWNER}
    given = union(*(acl.get(name, NONE) for name in who))
    if owner and not _has_own_entry(acl, who):
        given = ALL
    taken = union(*(acl.get(NEGATIVE + name, NONE) for name in who))
    left = without(given, taken)
    return union(left, OWNERS) if owner else left


def _has_own_entry(acl: Acl, who: frozenset[str]) -> bool:
    """Whether a list says of its owner, as such or by address, what they may do."""
    return any(name in acl for name in who - {ANYONE, AUTHENTICATED} if name[:1] != GROUP)


def may_set(flag: str, some: Rights) -> bool:
    """Whether a flag may be set and cleared (RFC 4314 §4, STORE)."""
    return _FLAGS.get(flag.lower(), "w") in some


def writable(some: Rights) -> bool:
    """Whether a mailbox is more than to be read: READ-WRITE (RFC 4314 §5.2)."""
    return any(letter in some for letter in "swite")
