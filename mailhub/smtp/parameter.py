"""The parameters of MAIL and RCPT: read from text, each checked by the RFC that defines it.

Two tables, one a command: a keyword maps to a function from the value as it
stands (None without ``=``) to what the command keeps of it. A parameter that
is in no table was never announced (RFC 5321 §4.1.1.11): 555.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mailhub.mail.address import parse_path
from mailhub.mail.envelope import Body, DeliverBy, Notify, Return
from mailhub.mail.reply import Refusal
from mailhub.smtp import xtext

ENVID_LIMIT: Final = 100
"""Characters of ENVID (RFC 3461 §4.4)."""
ORCPT_LIMIT: Final = 500
"""Characters of ORCPT (RFC 3461 §4.2)."""

# esmtp-param = esmtp-keyword ["=" esmtp-value]                            (RFC 5321 §4.1.2)
# esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value = 1*(%d33-60 / %d62-126)                        (RFC 6531 §3.3 adds UTF8-non-ascii)
_PARAMETER: Final = re.compile(
    r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[!-<>-~\u0080-\U0010ffff]+))?"
)
# size-value = 1*20DIGIT                                                     (RFC 1870 §6.1)
_SIZE: Final = re.compile(r"[0-9]{1,20}")
# original-recipient-address = addr-type ";" xtext; addr-type = atom         (RFC 3461 §4.2)
_ORCPT: Final = re.compile(r"(?P<type>[A-Za-z0-9!#$%&'*\-/?^_`{|}~]+);(?P<address>.+)")

Reading = Callable[[str | None, bool], Any]
"""From a value, and whether the transaction has SMTPUTF8, to what is kept."""


def split(text: str) -> dict[str, str | None]:
    """The parameters of a command, keywords in capitals.

    Raises:
        Refusal: 501 5.5.4 for one that is malformed, or given twice.
    """
    found: dict[str, str | None] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise Refusal(501, "5.4", "Malformed parameter")
        keyword = match["keyword"].upper()
        if keyword in found:
            raise Refusal(501, "5.4", f"{keyword} given twice")
        found[keyword] = match["value"]
    return found


def read(
    parameters: Mapping[str, str | None], table: Mapping[str, tuple[str, Reading]], *, utf8: bool
) -> dict[str, Any]:
    """What a command keeps of its parameters, by attribute.

    Raises:
        Refusal: 555 5.5.4 for a parameter that `table` does not know
            (RFC 5321 §4.1.1.11), 501 5.5.4 for a bad value.
    """
    kept = {}
    for keyword, value in parameters.items():
        known = table.get(keyword)
        if known is None:
            raise Refusal(555, "5.4", f"{keyword} is not supported")
        attribute, reading = known
        kept[attribute] = reading(value, utf8)
    return kept


def _bad(keyword: str) -> Refusal:
    return Refusal(501, "5.4", f"Bad value of {keyword}")


def _size(value: str | None, _: bool) -> int:
    if value is None or not _SIZE.fullmatch(value):
        raise _bad("SIZE")
    return int(value)


def _body(value: str | None, _: bool) -> Body:
    # body-value = "7BIT" / "8BITMIME" / "BINARYMIME"      (RFC 6152 §2, RFC 3030 §3)
    try:
        return Body((value or "").upper())
    except ValueError:
        raise _bad("BODY") from None


def _ret(value: str | None, _: bool) -> Return:
    # ret-value = "FULL" / "HDRS"                          (RFC 3461 §4.3)
    try:
        return Return((value or "").upper())
    except ValueError:
        raise _bad("RET") from None


def _envid(value: str | None, _: bool) -> str:
    if value is None or len(value) > ENVID_LIMIT or not xtext.is_xtext(value):
        raise _bad("ENVID")
    return value


def _flag(keyword: str) -> Reading:
    def reading(value: str | None, _: bool) -> bool:
        if value is not None:
            raise _bad(keyword)
        return True

    return reading


def _auth(value: str | None, _: bool) -> str:
    # auth-param = "AUTH=" (xtext / "<>")                  (RFC 4954 §8)
    # Checked and not used: no client of ours is trusted to vouch for another (RFC 4954 §5).
    if value == "<>":
        return ""
    if value is None or not xtext.is_xtext(value):
        raise _bad("AUTH")
    try:
        parse_path(xtext.decode(value).decode("ascii"))
    except Refusal:
        raise _bad("AUTH") from None
    return value


# future-release-integer = %x31-39 *8DIGIT                                  (RFC 4865 §3)
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,8}")
# date-time                                                                  (RFC 3339 §5.6)
_MOMENT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))"
)


def _hold_for(value: str | None, _: bool) -> int:
    if value is None or not _SECONDS.fullmatch(value):
        raise _bad("HOLDFOR")
    return int(value)


def _hold_until(value: str | None, _: bool) -> float:
    found = _MOMENT.fullmatch(value or "")
    if found is None:
        raise _bad("HOLDUNTIL")
    *numbers, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    try:
        # A leap second is the one after it, as clocks have it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        raise _bad("HOLDUNTIL") from None
    ahead = 0 if sign is None else (int(hours) * 60 + int(minutes)) * 60
    return moment.timestamp() + max(second - 59, 0) - (-ahead if sign == "-" else ahead)


# by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT   (RFC 2852 §4)
_BY: Final = re.compile(r"(?P<time>[+-]?[0-9]{1,9});(?P<mode>[NRnr])(?P<trace>[Tt]?)")


def _by(value: str | None, _: bool) -> DeliverBy:
    found = _BY.fullmatch(value or "")
    if found is None:
        raise _bad("BY")
    seconds, returned = int(found["time"]), found["mode"] in "Rr"
    if returned and seconds <= 0:
        raise _bad("BY")  # nobody can deliver in the past (RFC 2852 §4)
    return DeliverBy(seconds, returned, bool(found["trace"]))


# priority-value = ["-"] NZDIGIT / "0"                                       (RFC 6710 §4.1)
_PRIORITY: Final = re.compile(r"-?[1-9]|0")


def _priority(value: str | None, _: bool) -> int:
    if value is None or not _PRIORITY.fullmatch(value):
        raise _bad("MT-PRIORITY")
    return int(value)


_NOTIFY: Final = {
    "SUCCESS": Notify.SUCCESS,
    "FAILURE": Notify.FAILURE,
    "DELAY": Notify.DELAY,
}


def _notify(value: str | None, _: bool) -> Notify:
    # notify-esmtp-value = "NEVER" / 1#notify-list-element   (RFC 3461 §4.1)
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wanted = Notify(0)
    for word in words:
        if word not in _NOTIFY:
            raise _bad("NOTIFY")
        wanted |= _NOTIFY[word]
    return wanted


def _orcpt(value: str | None, utf8: bool) -> str:
    found = _ORCPT.fullmatch(value or "")
    if found is None or len(found[0]) > ORCPT_LIMIT:
        raise _bad("ORCPT")
    if found["type"].lower() == "utf-8":
        good = xtext.is_unitext(found["address"], utf8=utf8) or xtext.is_xtext(found["address"])
    else:
        good = xtext.is_xtext(found["address"])
    if not good:
        raise _bad("ORCPT")
    return found[0]


MAIL: Final[Mapping[str, tuple[str, Reading]]] = {
    "SIZE": ("size", _size),
    "BODY": ("body", _body),
    "RET": ("ret", _ret),
    "ENVID": ("envid", _envid),
    "SMTPUTF8": ("utf8", _flag("SMTPUTF8")),
    "AUTH": ("auth", _auth),
    "REQUIRETLS": ("require_tls", _flag("REQUIRETLS")),
    "HOLDFOR": ("hold_for", _hold_for),
    "HOLDUNTIL": ("hold_until", _hold_until),
    "BY": ("by", _by),
    "MT-PRIORITY": ("priority", _priority),
}
"""MAIL's parameters, and the attributes of `command.Mail` that keep them."""

RCPT: Final[Mapping[str, tuple[str, Reading]]] = {
    "NOTIFY": ("notify", _notify),
    "ORCPT": ("orcpt", _orcpt),
}
"""RCPT's parameters, and the attributes of `command.Rcpt` that keep them."""
