"""MTA-STS: what a domain says of TLS at its exchanges, over HTTPS (RFC 8461).

Pure: the record and the policy's text are given, and are judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

LONGEST: Final = 31_557_600
"""Seconds that a policy may be kept at most: a year (RFC 8461 §3.2)."""
SIZE_LIMIT: Final = 64 << 10
"""Octets of a policy that are read (RFC 8461 §3.3)."""
MX_LIMIT: Final = 1000
"""Patterns of a policy that are kept."""


class Mode(Enum):
    """What to do about exchanges that do not meet the policy (RFC 8461 §5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    """Deliver all the same, and report."""
    NONE = "none"
    """The domain has done with MTA-STS."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A domain's policy.

    Attributes:
        mx: Names of exchanges in lower case, or ``*.`` and a domain for one label below it.
        max_age: Seconds that it holds from when it was fetched.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether an exchange is one of those that the policy names (RFC 8461 §4.1)."""
        name = host.lower().rstrip(".")
        _, _, above = name.partition(".")
        return any(
            above == pattern[2:] if pattern.startswith("*.") else name == pattern
            for pattern in self.mx
        )


class BadPolicy(ValueError):
    """A text that is no policy; the message says why, in a few words."""


#   sts-text-record = sts-version 1*(field-delim sts-field) [field-delim]  (RFC 8461 §3.1)
_RECORD = re.compile(rb"v=STSv1[ \t]*(?:;|$)")
_ID = re.compile(rb";[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*(?:;|$)")
_PATTERN = re.compile(
    r"(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z0-9-]+\.?"
)


def record_id(texts: Sequence[bytes]) -> str | None:
    """The id in the TXT records at ``_mta-sts``; None if the domain has no MTA-STS.

    Several records, or one without an id, count as none (RFC 8461 §3.1).
    """
    records = [text for text in texts if _RECORD.match(text)]
    if len(records) != 1:
        return None
    found = _ID.search(records[0])
    return None if found is None else found.group(1).decode()


def parse_policy(text: bytes) -> StsPolicy:
    """Read a policy (RFC 8461 §3.2). Fields that we do not know are left alone.

    Raises:
        BadPolicy: It is none.
    """
    fields: dict[str, list[str]] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise BadPolicy(f"a line without a colon: {line[:40]!r}")
        fields.setdefault(name.strip(), []).append(value.strip())
    if fields.get("version", [""])[0] != "STSv1":
        raise BadPolicy("its version is not STSv1")
    try:
        mode = Mode(fields.get("mode", [""])[0])
    except ValueError:
        raise BadPolicy("its mode is none of enforce, testing and none") from None
    age = fields.get("max_age", [""])[0]
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise BadPolicy("it has no max_age")
    patterns = tuple(pattern.lower().rstrip(".") for pattern in fields.get("mx", []))
    if mode is not Mode.NONE and not patterns:
        raise BadPolicy("it names no mx")
    if wrong := [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)]:
        raise BadPolicy(f"no name of an exchange: {wrong[0][:60]!r}")
    return StsPolicy(mode, patterns[:MX_LIMIT], min(int(age), LONGEST))
