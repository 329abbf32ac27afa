"""Names on disk: of messages in a maildir, and of mailboxes in a Maildir++.

A message is ``<stem>,S=<octets>,U=<uid>:2,<flags>``. The stem
``<seconds>.<unique>.<host>`` stays with the message wherever it goes; ``S=`` is
RFC822.SIZE, ``D=`` when it came into this mailbox if not when its stem says, and with
``U=`` the name says all that must survive the index; of flags that have just changed, a
little later (`store.naming`).
Until a message has its UID the name is a plain maildir name.

A mailbox is the account's maildir itself (INBOX) or the directory ``.A.B`` in
it, each level in modified UTF-7 with a dot inside a level spelt ``&AC4-``.

Invariants:

1. ``mailbox_of(directory_of(name)) == name``, and the other way round: a
   directory spelt otherwise is no mailbox of ours.
2. Letters behind ``:2,`` that mean nothing to us stay when flags change.
3. Two different `unique` give two different stems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from mailhub.imap import mutf7
from mailhub.imap.name import canonical
from mailhub.mail.flag import KEYWORD_LIMIT, KEYWORD_SHIFT, MAILDIR_LETTERS
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.limits import Limits

INBOX: Final = "INBOX"
"""The mailbox that each account has (RFC 3501 §5.1)."""
SEPARATOR: Final = "/"
"""Between levels of a name, towards IMAP."""
INFO: Final = b":2,"
"""Between the base of a message's name and its flags."""

_DOT: Final = b"&AC4-"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN: Final = re.compile(rb"(?:\.[A-Za-z0-9 !#$()+,:;=?@^_{}~-]+)+")
"""Directories whose names have nothing to decode."""
_OWN: Final = re.compile(rb"(\d{1,12})\.H\d{6}_([^.,]+)\.")
_SECONDS: Final = re.compile(rb"(\d{1,12})\.")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_+-]")
_LETTERS: Final[dict[int, int]] = {
    **{ord(letter): bit for letter, bit in MAILDIR_LETTERS.items()},
    **{ord("a") + n: 1 << (KEYWORD_SHIFT + n) for n in range(KEYWORD_LIMIT)},
}


class Base(NamedTuple):
    """The parts of a message's name before its flags.

    Attributes:
        size: Octets of the file (``S=``): Dovecot fails to read a file where that is wrong.
        served: Octets once its line ends are CR LF (``W=``).
        saved: When it came into its mailbox (``D=``), if the stem does not say.
    """

    stem: bytes
    size: int | None
    uid: int | None
    served: int | None = None
    saved: int | None = None


# ---- Messages ------------------------------------------------------------------------------


def make_stem(when: float, unique: str, host: str) -> bytes:
    """The stem of a new message; the same for the same arguments.

    Stems sort by time: microseconds stand where maildir names have them.
    """
    seconds = max(int(when), 0)
    micros = int((when - seconds) * 1_000_000) if when > 0 else 0
    return f"{seconds}.H{micros:06d}_{_safe(unique)}.{_safe(host, '.')}".encode()


def _safe(text: str, also: str = "") -> str:
    return _UNSAFE.sub(
        lambda found: found[0] if found[0] in also else f"={found[0].encode().hex()}=", text
    )


def own_unique(stem: bytes) -> bytes | None:
    """The unique part (as it is spelt) of a stem that we made; None for another's."""
    found = _OWN.match(stem)
    return found[2] if found else None


def own_uniques(names: Iterable[bytes]) -> set[str]:
    """The unique parts of those of these names that we made."""
    found = (own_unique(parse_base(name).stem) for name in names)
    return {unique.decode() for unique in found if unique is not None}


def spelt_unique(unique: str) -> bytes:
    """How `make_stem` spells a unique part."""
    return _safe(unique).encode()


def seconds_of(stem: bytes) -> int | None:
    """The time in a stem, if it has one."""
    found = _SECONDS.match(stem)
    return int(found[1]) if found else None


def delivery_order(file_name: bytes) -> tuple[int, bytes]:
    """A sort key that puts messages into the order in which they were delivered."""
    return seconds_of(file_name) or 0, file_name


def base_of(file_name: bytes) -> bytes:
    """A message's name without its flags."""
    return file_name.partition(b":")[0]


def _number(field: bytes) -> int | None:
    return int(field) if field.isdigit() and len(field) < 16 else None


def parse_base(base: bytes) -> Base:
    """Take the base of a name apart; fields of others' programs stay in the stem."""
    stem, *fields = base.split(b",")
    size = uid = served = saved = None
    for field in fields:
        if field.startswith(b"S="):
            size = _number(field[2:])
        elif field.startswith(b"U="):
            uid = _number(field[2:])
        elif field.startswith(b"W="):
            served = _number(field[2:])
        elif field.startswith(b"D="):
            saved = _number(field[2:])
        else:
            stem += b"," + field
    return Base(stem, size, uid, served, saved)


def unnumbered(stem: bytes, size: int) -> bytes:
    """The name of one of our messages that has no UID yet."""
    return b"%b,S=%d" % (stem, size)


def numbered(
    stem: bytes,
    size: int,
    uid: int,
    letters: bytes = b"",
    served: int | None = None,
    saved: int | None = None,
) -> bytes:
    """The name of a message that has its UID; `served` is its size with CR LF, if another."""
    wide = b"" if served is None or served == size else b",W=%d" % served
    when = b"" if saved is None or saved == seconds_of(stem) else b",D=%d" % saved
    return b"%b,S=%d%b%b,U=%d:2,%b" % (stem, size, wide, when, uid, letters)


def known_bits(keywords: int) -> int:
    """The bits that mean something in a mailbox with so many keywords."""
    return (1 << (KEYWORD_SHIFT + keywords)) - 1


@lru_cache(maxsize=4096)
def flags_of(letters: bytes) -> int:
    """The flags that the letters behind ``:2,`` stand for."""
    bits = 0
    for letter in letters:
        bits |= _LETTERS.get(letter, 0)
    return bits


def letters_of(file_name: bytes) -> bytes:
    """The letters behind ``:2,``."""
    return file_name.partition(INFO)[2]


@lru_cache(maxsize=4096)
def relettered(letters: bytes, flags: int, known: int) -> bytes:
    """The letters for `flags`; those outside the `known` bits stay as they are."""
    kept = {letter for letter in letters if not _LETTERS.get(letter, 0) & known}
    kept.update(letter for letter, bit in _LETTERS.items() if bit & flags & known)
    return bytes(sorted(kept))


def flags_now(before: bytes, now: bytes, flags: int, known: int) -> int:
    """The flags of a message whose file another program has renamed.

    What that changed between the two names is what it wants; all else is as `flags` has it,
    whether the name said so yet or not.
    """
    theirs = flags_of(letters_of(now)) & known
    changed = (flags_of(letters_of(before)) & known) ^ theirs
    return flags & ~changed | theirs & changed


# ---- Mailboxes -----------------------------------------------------------------------------


def checked(name: str, limits: Limits) -> str:
    """The canonical name, if a mailbox may be called so.

    Raises:
        StoreRefused: CANNOT for a name that no directory could have.
    """
    name = canonical(name)
    levels = name.split(SEPARATOR)
    if "" in levels or _CONTROL.search(name):
        raise StoreRefused(
            StoreFault.CANNOT, "Mailbox name has an empty level or control character"
        )
    if name == limits.reserved:
        raise StoreRefused(StoreFault.CANNOT, f"{name} is the hub's own to write to")
    if len(levels) > limits.levels:
        raise StoreRefused(StoreFault.CANNOT, "Mailbox name has too many levels")
    try:
        directory = directory_of(name)
    except ValueError:
        raise StoreRefused(StoreFault.CANNOT, "Mailbox name is not Unicode text") from None
    if len(directory) > limits.directory:
        raise StoreRefused(StoreFault.CANNOT, "Mailbox name is too long")
    return name


def directory_of(name: str) -> bytes:
    """The directory of a mailbox, below the account's maildir; empty for INBOX itself.

    Raises:
        ValueError: The name holds a lone surrogate.
    """
    if name == INBOX:
        return b""
    levels = [mutf7.encode(level).replace(b".", _DOT) for level in name.split(SEPARATOR)]
    return b"." + b".".join(levels)


def mailbox_of(directory: bytes) -> str | None:
    """The mailbox that lies in a directory; None if that is no mailbox's name."""
    if not directory:
        return INBOX
    if not directory.startswith(b"."):
        return None
    if _PLAIN.fullmatch(directory) and not directory[:6].upper().startswith(b".INBOX"):
        return directory[1:].replace(b".", b"/").decode("ascii")  # as most are
    try:
        levels = [_level(octets) for octets in directory[1:].split(b".")]
    except ValueError:
        return None
    name = SEPARATOR.join(levels)
    if name == INBOX or canonical(name) != name or directory_of(name) != directory:
        return None
    return None if "" in levels or _CONTROL.search(name) else name


def _level(octets: bytes) -> str:
    return ".".join(mutf7.decode(piece) for piece in octets.split(_DOT))


def parents(name: str) -> list[str]:
    """The levels above a mailbox, outermost first."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]
