"""The base subject of a message: without ``Re:``, ``Fwd:``, ``[list]`` (RFC 5256 §2.1)."""

from __future__ import annotations

import re
from typing import Final

SUBJECT_LIMIT: Final = 1000
"""Characters of a subject that are looked at: ours, for each prefix costs a look at the rest."""

_BLANKS: Final = re.compile(r"[ \t\r\n]+")
# subj-blob    = "[" *BLOBCHAR "]" *WSP                                    (RFC 5256 §5)
_BLOB: Final = r"\[[^\[\]]*+\] *+"
# subj-leader  = (*subj-blob subj-refwd) / WSP
# subj-refwd   = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
_LEADER: Final = re.compile(rf"(?:{_BLOB})*+(?:RE|FWD?) *+(?:{_BLOB})?:")
_ONE_BLOB: Final = re.compile(_BLOB)
# subj-trailer = "(fwd)" / WSP
_TRAILER: Final = "(FWD)"
# subj-fwd     = subj-fwd-hdr subject subj-fwd-trl;  subj-fwd-hdr = "[fwd:"
_WRAPPED: Final = "[FWD:"


def base_subject(folded: str) -> tuple[str, bool]:
    """The base of a subject that `collation.fold` has folded; whether it is a reply or forward."""
    text = _BLANKS.sub(" ", folded[:SUBJECT_LIMIT]).strip(" ")
    answers = False
    while True:
        while text.endswith(_TRAILER):
            text = text.removesuffix(_TRAILER).rstrip(" ")
            answers = True
        text, answered = _without_leaders(text)
        answers |= answered
        if not (text.startswith(_WRAPPED) and text.endswith("]")):
            return text, answers
        text = text[len(_WRAPPED) : -1].strip(" ")
        answers = True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Leaders taken off, and blobs as long as something is left behind them."""
    at, answers = 0, False
    while True:
        while text.startswith(" ", at):
            at += 1
        if found := _LEADER.match(text, at):
            answers = True
        elif not (found := _ONE_BLOB.match(text, at)) or found.end() == len(text):
            return text[at:], answers
        at = found.end()
