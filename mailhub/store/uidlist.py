"""The small text file of a maildir: UIDVALIDITY, the ceilings of UIDs and MODSEQs, keywords.

It holds what names of files do not say and what must survive the index.

::

    mailhub-uidlist 1
    uidvalidity 1795504565
    ceiling 512
    modseq 1024
    mailboxid F5d41402abc4b2a76b9719d91
    keyword a $Forwarded

Invariants:

1. Every UID given out is below the ceiling that is durable on disk: when the index is
   lost, or a crash of the machine took its last transactions, the next UID is
   the ceiling, and none is used twice (RFC 3501 §2.3.1.1). MODSEQs have such a ceiling
   too, and go on from it likewise (RFC 7162 §3.1).
2. A keyword's letter is durable before it stands in a file's name.
3. A file that does not parse is not believed in part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailhub.mail.flag import KEYWORD_LIMIT
from mailhub.store.durable import Corrupt, read_file, replace
from mailhub.store.files import Files

FILE: Final = b"mailhub-uidlist"
"""Its name, beside ``cur``."""
UID_LIMIT: Final = 0xFFFF_FFFF
"""UIDs and UIDVALIDITY have 32 bits (RFC 3501 §2.3.1.1)."""

_HEADER: Final = "mailhub-uidlist 1"
_NUMBER: Final = re.compile(r"(uidvalidity|ceiling|modseq) ([0-9]{1,19})")
# objectid = 1*255(ALPHA / DIGIT / "_" / "-")                             (RFC 8474 §7)
_MAILBOX_ID: Final = re.compile(r"mailboxid ([A-Za-z0-9_-]{1,255})")
_KEYWORD: Final = re.compile(r"keyword ([a-z]) (\S+)")


@dataclass(frozen=True, slots=True)
class UidList:
    """What the file says.

    Attributes:
        ceiling: No UID at or above it has been given out.
        modseq: No MODSEQ at or above it has been given out.
        mailbox_id: The mailbox's own for ever, whatever it is called (RFC 8474 §4).
        keywords: Names, for the letters from ``a`` up.
    """

    uid_validity: int
    ceiling: int = 1
    modseq: int = 2
    keywords: tuple[str, ...] = ()
    mailbox_id: str = "F0"

    def __bytes__(self) -> bytes:
        lines = [
            _HEADER,
            f"uidvalidity {self.uid_validity}",
            f"ceiling {self.ceiling}",
            f"modseq {self.modseq}",
            f"mailboxid {self.mailbox_id}",
            *(f"keyword {chr(ord('a') + n)} {name}" for n, name in enumerate(self.keywords)),
        ]
        return "".join(line + "\n" for line in lines).encode()


def parse(octets: bytes, path: bytes = FILE) -> UidList:
    """Read the file's text.

    Raises:
        Corrupt: Some of it is not as we write it.
    """
    try:
        header, *lines = octets.decode().splitlines()
    except ValueError:
        raise Corrupt(path, "not text, or empty") from None
    if header != _HEADER:
        raise Corrupt(path, "not a mailhub-uidlist of version 1")
    numbers: dict[str, int] = {}
    keywords: list[str] = []
    mailbox_id = ""
    for line in lines:
        if number := _NUMBER.fullmatch(line):
            numbers[number[1]] = int(number[2])
        elif (keyword := _KEYWORD.fullmatch(line)) and ord(keyword[1]) - 97 == len(keywords):
            keywords.append(keyword[2])
        elif found := _MAILBOX_ID.fullmatch(line):
            mailbox_id = found[1]
        else:
            raise Corrupt(path, f"not understood: {line!r}")
    if len(numbers) != 3 or not mailbox_id or not 0 < numbers["uidvalidity"] <= UID_LIMIT:
        raise Corrupt(path, "numbers are missing or out of range")
    if not 0 < numbers["ceiling"] <= UID_LIMIT + 1 or len(keywords) > KEYWORD_LIMIT:
        raise Corrupt(path, "numbers are out of range")
    return UidList(
        numbers["uidvalidity"],
        numbers["ceiling"],
        numbers["modseq"],
        tuple(keywords),
        mailbox_id,
    )


def load(files: Files, directory: bytes) -> UidList | None:
    """The UID list of a maildir; None if it has none yet.

    Raises:
        Corrupt: It does not parse.
    """
    path = directory + b"/" + FILE
    octets = read_file(files, path)
    return None if octets is None else parse(octets, path)


def save(files: Files, directory: bytes, uid_list: UidList) -> None:
    """Write it, durably."""
    replace(files, directory + b"/" + FILE, bytes(uid_list))
