"""SMTP replies, and the failures that carry one.

A reply states its class twice: in the three-digit code (RFC 5321 §4.2) and in
the enhanced status ``class.subject.detail`` (RFC 3463 §2), and the two must
agree (RFC 2034 §4).  A `Reply` therefore stores only ``subject.detail`` and
reads the class off the code: a reply that contradicts itself cannot be built.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Self

from mailhub.mail.value import value

# status-code = class "." subject "." detail   (RFC 3463 §2)
_STATUS: Final = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})(?: +|$)")


@value(frozen=True, slots=True)
class Reply:
    """One reply, of ours or of a peer.

    Attributes:
        code: Three digits, 200 to 599.
        detail: ``"subject.detail"``, or ``""`` where no enhanced status is
            allowed: the greeting, EHLO and HELO, and 3yz (RFC 2034 §4).
        lines: The text, one item a line, at least one; no CR or LF inside.
    """

    code: int
    detail: str
    lines: tuple[str, ...]

    @classmethod
    def parse(cls, code: int, texts: Sequence[str]) -> Reply:
        """Make a reply of what a peer sent behind its code, line by line.

        An enhanced status that contradicts the code is left in the text.
        """
        found = _STATUS.match(texts[0]) if texts else None
        if found is None or found[1] != str(code // 100):
            return cls(code, "", tuple(texts) or ("",))
        prefix = f"{found[1]}.{found[2]}"
        bare = (text.removeprefix(prefix).lstrip(" ") for text in texts)
        return cls(code, found[2], tuple(bare))

    @property
    def positive(self) -> bool:
        """Whether the request was carried out (RFC 5321 §4.2.1)."""
        return self.code < 400

    @property
    def permanent(self) -> bool:
        """Whether repeating the same request cannot help (RFC 5321 §4.2.1)."""
        return self.code >= 500

    @property
    def status(self) -> str:
        """The enhanced status, as DSNs need it: guessed from the code where none was given."""
        return f"{self.code // 100}.{self.detail or '0.0'}"

    @property
    def text(self) -> str:
        """The reply as one line, as a person would quote it."""
        return _quoted(self.code, self.detail, self.lines)

    def __bytes__(self) -> bytes:
        status = f"{self.code // 100}.{self.detail} " if self.detail else ""
        *body, last = self.lines
        wire = [f"{self.code}-{status}{line}" for line in body]
        wire.append(f"{self.code} {status}{last}")
        return "".join(line + "\r\n" for line in wire).encode()


@lru_cache(maxsize=1024)
def _quoted(code: int, detail: str, lines: tuple[str, ...]) -> str:
    """A reply as one line: one is quoted in the log, in the journey and in the queue."""
    status = f" {code // 100}.{detail}" if detail else ""
    return f"{code}{status} {' '.join(lines)}".rstrip()


class Refusal(Exception):
    """We will not do what was asked; `reply` says why, in SMTP's own terms.

    The session that catches it sends `reply` as it stands.  Whether the sender
    may try again is a property of the reply, never a second flag beside it.

    Attributes:
        rule: The line of the configuration that decides (`policy.rule.Rule`), if one does.
    """

    def __init__(self, code: int, detail: str, *lines: str) -> None:
        self.reply = Reply(code, detail, lines)
        self.rule: object = None
        super().__init__(self.reply.text)

    def by(self, rule: object) -> Self:
        """The same, which a line of the configuration decides."""
        self.rule = rule
        return self
