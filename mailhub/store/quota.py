"""An account's usage, in the file ``maildirsize`` that Maildir++ defines for it. Blocking.

Its first line is the quota (``5000000S,1000C``), each further line adds octets and messages;
a change appends a line, so it costs one write and no index. The file is made
anew from the maildirs when it is missing, long, or of another quota, and when the
account seems to be over its quota and it is not fresh.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mailhub.ports.accounts import Quota
from mailhub.store import maildir
from mailhub.store.durable import MODE, read_file, write_file
from mailhub.store.files import Files
from mailhub.store.name import base_of, parse_base

FILE: Final = b"maildirsize"
"""Its name (Maildir++, "Calculating maildirsize")."""
LONGEST: Final = 5_120
"""Octets from which the file is made anew (the same)."""
FRESH: Final = 15 * 60.0
"""Seconds for which a file that says "over quota" is believed (the same)."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What there is."""

    octets: int = 0
    messages: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.octets + other.octets, self.messages + other.messages)

    @property
    def grows(self) -> bool:
        """Whether it is more of anything, added to what there is."""
        return self.octets > 0 or self.messages > 0

    def exceeds(self, quota: Quota) -> bool:
        """Whether it is more than the quota allows."""
        return bool(
            (quota.octets and self.octets > quota.octets)
            or (quota.messages and self.messages > quota.messages)
        )


def definition(quota: Quota) -> bytes:
    """The file's first line."""
    parts = [(quota.octets, b"S"), (quota.messages, b"C")]
    return b",".join(b"%d%b" % part for part in parts if part[0])


def limited(quota: Quota) -> bool:
    """Whether there is any limit."""
    return bool(quota.octets or quota.messages)


def usage(files: Files, account: bytes, quota: Quota, now: float) -> Sum:
    """What an account holds.

    Raises:
        OSError: The disk said no.
    """
    if not limited(quota):
        return measure(files, account)
    octets = read_file(files, account + b"/" + FILE)
    found = None if octets is None or len(octets) >= LONGEST else parse(octets, quota)
    if octets is None or found is None:
        return _renew(files, account, quota)
    if found.exceeds(quota):
        age = now - files.stat(account + b"/" + FILE).st_mtime
        if octets.count(b"\n") > 2 or age > FRESH:
            return _renew(files, account, quota)
    return found


def parse(octets: bytes, quota: Quota) -> Sum | None:
    """The sum of the file's lines; None if it is of another quota, or broken."""
    first, *lines = octets.splitlines() or [b""]
    if first != definition(quota):
        return None
    total = Sum()
    try:
        for line in lines:
            size, count = line.split()
            total += Sum(int(size), int(count))
    except ValueError:
        return None
    return total


def measure(files: Files, account: bytes) -> Sum:
    """What the maildirs hold, by the sizes in the names where there are any."""
    total, messages = 0, 0
    for directory in maildir.directories(files, account):
        for place in (b"new", b"cur"):
            path = b"/".join((account, directory, place) if directory else (account, place))
            for name in _names(files, path):
                size = parse_base(base_of(name)).size
                if size is None:
                    try:
                        size = files.stat(path + b"/" + name).st_size
                    except FileNotFoundError:
                        continue
                total += size
                messages += 1
    return Sum(total, messages)


def _names(files: Files, path: bytes) -> list[bytes]:
    """The names in a directory; none if its mailbox is being deleted."""
    try:
        return maildir.names(files, path)
    except FileNotFoundError:
        return []


def _renew(files: Files, account: bytes, quota: Quota) -> Sum:
    total = measure(files, account)
    text = b"%b\n%d %d\n" % (definition(quota), total.octets, total.messages)
    temporary = account + b"/tmp/" + FILE
    write_file(files, temporary, (text,), sync=False)
    with suppress(FileNotFoundError):  # another thread has counted as well, and was quicker
        files.rename(temporary, account + b"/" + FILE)
    return total


def note(files: Files, account: bytes, quota: Quota, change: Sum) -> None:
    """Record a change; a failure costs accuracy until the file is made anew."""
    if not limited(quota):
        return
    with suppress(OSError):
        descriptor = files.open(account + b"/" + FILE, os.O_WRONLY | os.O_APPEND, MODE)
        try:
            files.write(descriptor, b"%d %d\n" % (change.octets, change.messages))
        finally:
            files.close(descriptor)


def forget(files: Files, account: bytes) -> None:
    """Take the file away: for as long as there is no quota nobody keeps it right."""
    with suppress(OSError):
        files.unlink(account + b"/" + FILE)
