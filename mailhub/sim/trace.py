"""What happened in a world, boiled down to one number that another machine can compare.

Each event is a line of words with its moment; the digest is SHA-256 over all lines.
Words must come from the world alone: what a machine, an interpreter or OpenSSL
adds (addresses, hashes, ciphertext) has no place in them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256


class Trace:
    """Takes events.

    Attributes:
        count: How many there were.
        listen: Called with each line, if it is set: to write it down, or to check something.
    """

    def __init__(self, start: float = 0.0, listen: Callable[[str], object] | None = None) -> None:
        self.count = 0
        self.listen = listen
        self._start = start
        self._digest = sha256()

    def note(self, moment: float, text: str) -> None:
        """Something happened; microseconds are told, and finer differences do not count."""
        line = f"{moment - self._start:.6f} {text}\n"
        self.count += 1
        self._digest.update(line.encode("utf-8", "backslashreplace"))
        if self.listen is not None:
            self.listen(line)

    @property
    def digest(self) -> str:
        """The number, so far."""
        return self._digest.hexdigest()
