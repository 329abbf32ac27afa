"""Says what a message means that came to the return path of one of ours: did that one fail?

Most of those who write bounces follow RFC 3464, and say it to programs. The others say
it to people, each in its own way: `_WAYS` knows those that are met. What people or
their absence assistants answer (RFC 3834) is no bounce, nor is a challenge or a receipt.

Invariants:

1. Nothing raises, whatever a stranger sent; what is not understood is `Kind.OTHER`.
2. Only what says of itself that it is final is a permanent failure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.mail.report import Fields, Report, report

QUOTED_LIMIT: Final = 500
"""Characters of the words that are quoted."""

NAME_LIMIT: Final = 255
"""Characters of a host's name (RFC 5321 §4.5.3.1.2)."""


class Kind(Enum):
    """What a message means for the one that it is about."""

    FAILED = "failed"
    DELAYED = "delayed"
    SUCCESS = "success"
    """Delivered, relayed, expanded."""
    ANSWER = "answer"
    """Somebody, or some program in his absence, has answered it."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Bounce:
    """What was understood.

    Attributes:
        reply: Of a failure or delay: what stands behind it, as a reply of the far side's.
        host: Who said that; ``""`` where it is not told.
    """

    kind: Kind
    reply: Reply | None = None
    host: str = ""


def bounce(content: bytes, recipient: str = "") -> Bounce:
    """What a message means for `recipient`, the address that the one it is about was sent to."""
    found = report(content)
    if found.kind == "delivery-status" and found.groups:
        told = _told(found, recipient)
        if told is not None:
            return told
    if found.kind == "disposition-notification":
        return Bounce(Kind.ANSWER)
    if found.kind != "feedback-report" and _SENDER.search(found.value(b"from")):
        way = next((each for each in _WAYS if each.says.search(found.text)), None)
        if way is not None:
            return _from_text(found, way)
    return Bounce(Kind.ANSWER if _answers(found) else Kind.OTHER)


# ---- What is said to programs (RFC 3464) ---------------------------------------------------

_ACTIONS: Final = {
    "failed": Kind.FAILED,
    "delayed": Kind.DELAYED,
    "delivered": Kind.SUCCESS,
    "relayed": Kind.SUCCESS,
    "expanded": Kind.SUCCESS,
    # Not in RFC 3464 §2.3.3, and met.
    "failure": Kind.FAILED,
    "fail": Kind.FAILED,
    "deferred": Kind.DELAYED,
    "deliverable": Kind.SUCCESS,
}
_WORST: Final = (Kind.FAILED, Kind.DELAYED, Kind.SUCCESS)

# status-code = DIGIT "." 1*3DIGIT "." 1*3DIGIT                              (RFC 3464 §2.3.4)
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3}\.\d{1,3})\b")
# Reply-line = Reply-code [ SP textstring ], and how it is quoted            (RFC 5321 §4.2)
_REPLY: Final = re.compile(
    r"(?<![\w.\[:/-])([45]\d\d)(?:[ -]+#?|: ?|$)(?:([45])\.(\d{1,3}\.\d{1,3})(?![\d.]))?"
)
# The code at the beginning of each line of a reply, when the lines were joined
_AGAIN: Final = re.compile(r"\s[45]\d\d[ -][45]\.\d{1,3}\.\d{1,3}(?=\s)")
_UNTYPED: Final = re.compile(r"^\s*[\w-]+\s*;\s*")


def _told(found: Report, recipient: str) -> Bounce | None:
    """What the fields say of the recipient, or the worst that they say of anybody."""
    groups = [group for group in found.groups if "action" in group or "status" in group]
    mine = [group for group in groups if recipient and _is_about(group, recipient)]
    kinds = [(_kind_of(group), group) for group in mine or groups]
    for kind in _WORST:
        for each, group in kinds:
            if each is kind:
                return _from_fields(kind, group, found)
    return None


def _is_about(group: Fields, recipient: str) -> bool:
    names = (group.get(name, "") for name in ("original-recipient", "final-recipient"))
    return recipient.casefold() in [_UNTYPED.sub("", it).strip(" <>").casefold() for it in names]


def _kind_of(group: Fields) -> Kind | None:
    action = group.get("action", "").partition("(")[0].strip().rstrip(".").lower()
    if action in _ACTIONS:
        return _ACTIONS[action]
    status = _STATUS.search(group.get("status", ""))
    if status is None:
        return None
    return {"5": Kind.FAILED, "4": Kind.DELAYED, "2": Kind.SUCCESS}[status[1]]


def _from_fields(kind: Kind, group: Fields, found: Report) -> Bounce:
    reporters = (it["reporting-mta"] for it in found.groups if "reporting-mta" in it)
    host = _name(group.get("remote-mta", "")) or _name(next(reporters, ""))
    if kind is Kind.SUCCESS:
        return Bounce(kind, None, host)
    words = _UNTYPED.sub("", group.get("diagnostic-code", ""))
    status = _STATUS.search(group.get("status", ""))
    return Bounce(kind, _reply(words or found.text, status, kind), host)


def _name(mta: str) -> str:
    """The name of a host, without its type and what stands behind it (RFC 3464 §2.1.2)."""
    return _UNTYPED.sub("", mta).strip(" ()[]").partition(" ")[0].rstrip(".")[:NAME_LIMIT]


def _reply(words: str, status: re.Match[str] | None, kind: Kind) -> Reply:
    """The far side's reply, put together of its words and the status beside them.

    What the words say counts before the status, unless that is the exacter one. A delivery
    that was given up for its age has a temporary reply, whatever was said last.
    """
    said = _REPLY.search(words)
    code = int(said[1]) if said is not None else 0
    detail = said[3] or "" if said is not None and said[2] == said[1][0] else ""
    if status is not None and (not detail or detail == "0.0") and status[2] != "0.0":
        detail = status[2]
    if not code:
        first = status[1] if status is not None and status[1] != "2" else ""
        code = {"5": 550, "4": 450}.get(first, 450 if kind is Kind.DELAYED else 550)
    elif kind is Kind.FAILED and status is not None and status[1] == "4" and status[2] == "4.7":
        code = 450  # too old, whatever was said last (RFC 3463 §3.5)
    text = " ".join(_AGAIN.sub(" ", words[said.end() :] if said is not None else words).split())
    return Reply(code, detail, (text[:QUOTED_LIMIT],))


# ---- What is said to people ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Way:
    """How some program, which calls itself a mailer, words its bounces.

    Attributes:
        says: What its text says, in any of these ways.
        delays: What it says, too, when it only tells of a delay.
    """

    says: re.Pattern[str]
    delays: re.Pattern[str] | None = None


def _any(*texts: str) -> re.Pattern[str]:
    """One of these, wherever lines are broken."""
    wherever = (text.replace(" ?", r"\s*+").replace(" ", r"\s++") for text in texts)
    return re.compile("|".join(wherever), re.IGNORECASE)


_SENDER: Final = re.compile(
    r"mailer[-_ ]?daemon|postmaster|mail delivery|mail system", re.IGNORECASE
)
_BELOW: Final = re.compile(
    r"^(?:-{2,} ?(?:Below this line is|This is) a copy of (?:the|your) message"
    r"|-{3,} ?(?:Original|Returned|Undelivered) message|-{3,} ?The header of the original"
    r"|-{3,} ?Unsent message|------ This is a copy|[ \t]*Below is a copy of the original message"
    r"|Message headers follow)",
    re.IGNORECASE | re.MULTILINE,
)
_LATER: Final = _any(
    "you do not need to (?:resend|take any action)",
    "no action is required",
    "will (?:continue|keep) (?:(?:to|on) )?(?:be )?(?:tried|trying|retry)",
    "delivery attempts will continue",
    "this is a warning message only",
    "still (?:being )?(?:trying|retried)",
)

_WAYS: Final = (
    # qmail, and what has grown of it: QSBMF, cr.yp.to/proto/qsbmf.txt
    _Way(_any(r"^Hi\. This is the", "This is the qmail-send program")),
    # Exim before it wrote DSNs, and where it is told not to
    _Way(
        _any("This message was created automatically by (?:the )?(?:mail delivery|SMTP)"),
        _any("has not yet been delivered", "has not been delivered to one or more"),
    ),
    # sendmail before 8.8
    _Way(
        _any("Transcript of session follows", "had (?:permanent )?(?:fatal )?(?:delivery )?errors"),
        _any("had transient non-fatal errors", "this is a warning"),
    ),
    # Yahoo
    _Way(_any("Sorry, we were unable to deliver your message to the following address")),
    # OpenSMTPD and DragonFly's agent, without the part for programs
    _Way(
        _any(
            "This is the MAILER-DAEMON, please DO NOT REPLY",
            "There was an error delivering your mail to",
        ),
        _any("A message is delayed"),
    ),
    # Gmail, without the part for programs
    _Way(
        _any("Delivery to the following recipients? (?:failed permanently|has been delayed)"),
        _any("has been delayed"),
    ),
    # Exchange, Outlook, Lotus Domino
    _Way(
        _any(
            "did not reach the following recipient",
            "Your message ?.{0,200}could not be delivered",
            "Delivery has failed to these recipients",
            "not listed in (?:Domino )?Directory",
            "was not delivered to:?",
        )
    ),
    # Whoever else says that something did not arrive
    _Way(
        _any(
            "(?:could|can|was|were|is)(?: ?not|n't) (?:be )?(?:deliver|reach|sent)",
            "undeliver(?:ed|able)",
            "(?:un(?:known|able)|invalid|no such|non-?existent)"
            " (?:user|recipient|mailbox|address|to)",
            r"delivery (?:\S+ ){0,6}(?:has )?failed",
            "permanent(?:ly)? (?:fatal )?(?:error|fail)",
            "returned to (?:you|sender)",
            r"(?<!\d)5\d\d(?:-| )5\.\d+\.\d+",
        )
    ),
)


def _from_text(found: Report, way: _Way) -> Bounce:
    text = found.text
    below = _BELOW.search(text)
    if below is not None:
        text = text[: below.start()]
    words = _cause(text)
    if (way.delays is not None and way.delays.search(text)) or _LATER.search(text):
        return Bounce(Kind.DELAYED, _reply(words, None, Kind.DELAYED))
    return Bounce(Kind.FAILED, _reply(words, _STATUS.search(words), Kind.FAILED))


_ADDRESS: Final = re.compile(r"^\s*[<\"']?[^\s<>@]+@[^\s<>@]+?[>\"']?:?(?:\s.*)?$")


def _cause(text: str) -> str:
    """The paragraph that says why: the one with a reply in it, or what follows the address."""
    paragraphs = [it for it in re.split(r"\n[ \t]*\n", text) if it.strip()]
    for paragraph in reversed(paragraphs):
        at = _REPLY.search(paragraph)
        if at is not None and not _is_prose(paragraph, at):
            return paragraph[at.start() :]
    for number, paragraph in enumerate(paragraphs):
        lines = paragraph.splitlines()
        for place, line in enumerate(lines):
            if _ADDRESS.match(line):
                rest = [*takewhile(str.strip, lines[place + 1 :])]
                return "\n".join(rest) or "\n".join(paragraphs[number + 1 : number + 2])
    return "\n".join(paragraphs[:3])


def _is_prose(paragraph: str, at: re.Match[str]) -> bool:
    """Whether a number is no reply but one that is told: ``after 500 seconds``."""
    behind = paragraph[at.end() :].lstrip().lower()
    return not at[2] and behind.startswith(("seconds", "hours", "minutes", "days", "bytes", "kb"))


# ---- Answers -------------------------------------------------------------------------------

_AWAY: Final = re.compile(
    r"^(?:auto(?:matic|matisch|mated)?[ -]?(?:reply|response|antwort)|out of (?:the )?office"
    r"|abwesenheit|r[ée]ponse automatique|tr[ảa] l[ờo]i t[ựu] [đd][ộo]ng|on vacation|away from)",
    re.IGNORECASE,
)


def _answers(found: Report) -> bool:
    """Whether a program, or a person, answers (RFC 3834 §5)."""
    auto = found.value(b"auto-submitted").lower()
    if auto.startswith("auto-replied") and not _SENDER.search(found.value(b"from")):
        return True
    if any(name in found.header for name in (b"x-autoreply", b"x-autorespond", b"x-autoresponder")):
        return True
    if found.value(b"precedence").lower() in ("auto_reply", "auto-reply"):
        return True
    return _AWAY.match(found.value(b"subject")) is not None
