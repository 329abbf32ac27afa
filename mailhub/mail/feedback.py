"""Complaints, as receivers of mail report them to its senders (RFC 5965).

Whether it is to be believed, and what follows, is not decided here.

Invariant: nothing raises, whatever a stranger sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mailhub.mail.addresslist import specs
from mailhub.mail.header import end, unfold
from mailhub.mail.parameters import content_type
from mailhub.mail.part import parameter
from mailhub.mail.report import report

USUAL: Final = "abuse"
"""What a report without a type is taken for, though each should have one (RFC 5965 §3.1)."""
_KIND_LIMIT: Final = 40
_WHO_LIMIT: Final = 200
"""Characters of a type, and of who reports."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One report.

    Attributes:
        kind: ``abuse``, ``fraud``, ``virus``, ``not-spam``, ``other``; or of later documents
            (``opt-out``, ``auth-failure``), in lower case.
        reporter: Who says so: the domain it comes from, and the program.
        traces: All that may name the return path of the message it is about.
    """

    kind: str
    reporter: str
    traces: str


def announced(fields: Mapping[bytes, list[bytes]]) -> bool:
    """Whether a header section says that what follows is a report (RFC 5965 §2)."""
    found = fields.get(b"content-type")
    read = content_type(unfold(found[0])) if found else None
    if read is None or (read[0].lower(), read[1].lower()) != (b"multipart", b"report"):
        return False
    return (parameter(read[2], b"report-type") or b"").lower() == b"feedback-report"


def feedback(content: bytes) -> Feedback | None:
    """The report that a message is; None if it is none."""
    found = report(content)
    if found.kind != "feedback-report" or not found.groups:
        return None
    fields = found.groups[0]
    kind = fields.get("feedback-type", USUAL).strip().lower()[:_KIND_LIMIT] or USUAL
    senders = specs(found.value(b"from").encode())
    who = [senders[0].rpartition("@")[2]] if senders else []
    who += [agent] if (agent := fields.get("user-agent", "").partition("/")[0].strip()) else []
    # Original-Mail-From (RFC 5965 §3.2), and where the message itself says whence it came.
    traces = [fields.get("original-mail-from", "")]
    traces.append(found.returned[: end(found.returned)].decode("utf-8", "replace"))
    return Feedback(kind, " ".join(who)[:_WHO_LIMIT], "\n".join(traces))
