r"""The small text file of an account: the last UIDVALIDITY, and mailboxes' special uses.

::

    mailhub-account 1
    uidvalidity 1795504570
    retired 1795504566
    use .Sent \Sent

Invariants:

1. A UIDVALIDITY is durable here before a mailbox has it, and each is greater than all
   before: a name that is used again never shows an old one (RFC 3501 §2.3.1.1).
2. `retired` is the greatest UIDVALIDITY of a mailbox that lost its name. One that
   takes over a name may keep its own only if that is no less.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from mailhub.store import durable
from mailhub.store.durable import Corrupt, read_file
from mailhub.store.files import Files
from mailhub.store.uidlist import UID_LIMIT

FILE: Final = b"mailhub-account"

_HEADER: Final = "mailhub-account 1"
_NUMBER: Final = re.compile(r"(uidvalidity|retired) ([0-9]{1,10})")
_USE: Final = re.compile(r"use (\.[ -~]+?)((?: \\[A-Za-z]+)+)")


@dataclass(frozen=True, slots=True)
class Profile:
    r"""What the file says.

    Attributes:
        uses: Special uses (``\Sent``, RFC 6154 §2) by the mailbox's directory.
    """

    uid_validity: int = 0
    retired: int = 0
    uses: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)

    def __bytes__(self) -> bytes:
        lines = [_HEADER, f"uidvalidity {self.uid_validity}", f"retired {self.retired}"]
        for directory, uses in sorted(self.uses.items()):
            lines.append(f"use {directory.decode('ascii')} {' '.join(uses)}")
        return "".join(line + "\n" for line in lines).encode("ascii")


def parse(octets: bytes, path: bytes = FILE) -> Profile:
    """Read the file's text.

    Raises:
        Corrupt: Some of it is not as we write it.
    """
    try:
        header, *lines = octets.decode("ascii").splitlines()
    except ValueError:
        raise Corrupt(path, "not text, or empty") from None
    if header != _HEADER:
        raise Corrupt(path, "not a mailhub-account file of version 1")
    numbers = {"uidvalidity": 0, "retired": 0}
    uses: dict[bytes, tuple[str, ...]] = {}
    for line in lines:
        if number := _NUMBER.fullmatch(line):
            numbers[number[1]] = int(number[2])
        elif use := _USE.fullmatch(line):
            uses[use[1].encode()] = tuple(use[2].split())
        else:
            raise Corrupt(path, f"not understood: {line!r}")
    return Profile(numbers["uidvalidity"], numbers["retired"], uses)


class Profiles:
    """An account's profile, read once and written at each change; safe from any thread."""

    def __init__(
        self, files: Files, maildir: bytes, clock: Callable[[], float], log: Callable[[str], None]
    ) -> None:
        self._files = files
        self._path = maildir + b"/" + FILE
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._kept: Profile | None = None

    def get(self) -> Profile:
        """What is kept now."""
        with self._lock:
            return self._load()

    def forget(self) -> None:
        """Read the file anew when it is next asked for: it may be another one."""
        with self._lock:
            self._kept = None

    def next_uid_validity(self) -> int:
        """A UIDVALIDITY that no mailbox of this account ever had."""
        with self._lock:
            now = self._load()
            # The date's thirty-two bits last until 2106, and it passes what a
            # lost file of ours, or another server, has given out.
            value = min(max(int(self._clock()), now.uid_validity + 1), UID_LIMIT)
            self._save(replace(now, uid_validity=value))
            return value

    def seen(self, uid_validity: int) -> None:
        """Take note of a UIDVALIDITY that another server gave out."""
        with self._lock:
            now = self._load()
            if uid_validity > now.uid_validity:
                self._save(replace(now, uid_validity=uid_validity))

    def retire(self, uid_validity: int) -> None:
        """Take note that a mailbox with this UIDVALIDITY loses its name."""
        with self._lock:
            now = self._load()
            if uid_validity > now.retired:
                self._save(replace(now, retired=uid_validity))

    def use(self, directory: bytes, uses: tuple[str, ...]) -> None:
        """Set the special uses of a mailbox; none takes it off."""
        with self._lock:
            now = self._load()
            if now.uses.get(directory, ()) == uses:
                return
            kept = {name: value for name, value in now.uses.items() if name != directory}
            if uses:
                kept[directory] = uses
            self._save(replace(now, uses=kept))

    def begin(self, uses: Callable[[], Mapping[bytes, tuple[str, ...]]]) -> None:
        """Begin with these uses, if there is no file yet."""
        with self._lock:
            if self._kept is None and read_file(self._files, self._path) is None:
                self._save(Profile(uses=uses()))

    def _load(self) -> Profile:
        if self._kept is None:
            octets = read_file(self._files, self._path)
            try:
                self._kept = Profile() if octets is None else parse(octets, self._path)
            except Corrupt as error:
                self._log(f"set aside: {error}")
                with suppress(OSError):
                    self._files.rename(self._path, self._path + b".corrupt")
                self._kept = Profile()
        return self._kept

    def _save(self, profile: Profile) -> None:
        durable.replace(self._files, self._path, bytes(profile))
        self._kept = profile
