"""Dates: RFC 5322 fields, IMAP's INTERNALDATE, and IMAP's SEARCH dates.

A moment is seconds since the epoch in UTC; where the writer's zone matters it
travels beside it as an `offset`.  Printing never fails and never asks a clock
or the machine's time zone; reading gives None for what is no date.

Invariants:

1. ``parse_date(format_date(s, o)) == Moment(s, o)`` for whole seconds of the
   years 1900 to 9999, and likewise for INTERNALDATE (from year 1 on).
2. Reading takes time linear in the text, of which at most `TEXT_LIMIT` counts.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

TEXT_LIMIT: Final = 256
"""Characters of a date that are looked at: the longest lawful ones have comments."""

_DAY: Final = 86400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal(), date.max.toordinal()
_CACHED_DAYS: Final = 4096
"""Days whose printed form is remembered: a mailbox of eleven years."""

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_TWO: Final = tuple(b"%02d" % number for number in range(60))

# obs-zone; a military letter or an unknown name means -0000               (RFC 5322 §4.3)
_ZONES: Final = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0,
    "est": -300, "edt": -240, "cst": -360, "cdt": -300,
    "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}  # fmt: skip

_TIME: Final = r"(?P<hour>\d{1,2})[:.](?P<minute>\d{1,2})(?:[:.](?P<second>\d{1,2})(?:[.,]\d+)?)?"
_ZONE: Final = r"(?: *(?:(?:GMT|UTC?)(?=[+-]))?(?P<zone>[+-]\d\d:?\d\d\b|[A-Za-z]+))?"
# date-time = [day-of-week ","] date time; dashes are met in old mail      (RFC 5322 §3.3)
_RFC5322: Final = re.compile(
    r"(?:[A-Za-z]+,? *)?(?P<day>\d{1,2})[ -]*(?P<month>[A-Za-z]{3})[A-Za-z]*[ -]*"
    rf"(?P<year>\d{{2,4}})(?:,? +{_TIME})?{_ZONE}"
)
# The form of asctime(3), met in mail of old programs: Fri Nov 21 09:55:06 [MST] 1997
_ASCTIME: Final = re.compile(
    rf"(?:[A-Za-z]+,? +)?(?P<month>[A-Za-z]{{3}})[A-Za-z]* +(?P<day>\d{{1,2}}),? +{_TIME}"
    r"(?: +(?P<zone>[A-Za-z]+))? +(?P<year>\d{4})"
)
# The form of ISO 8601, met in mail of home-made programs: 1997-11-21 09:55:06
_ISO: Final = re.compile(
    rf"(?P<year>\d{{4}})-(?P<number>\d\d)-(?P<day>\d\d)(?:[T ]+{_TIME})?{_ZONE}"
)
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
#                                                                          (RFC 3501 §9)
_INTERNAL: Final = re.compile(
    r"(?P<day>[ \d]\d)-(?P<month>[A-Za-z]{3})-(?P<year>\d{4}) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) (?P<zone>[+-]\d{4})"
)
# date-text = date-day "-" date-month "-" date-year                        (RFC 3501 §9)
_SEARCH: Final = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")


# date-time = full-date "T" full-time                                      (RFC 3339 §5.6)
_TIMESTAMP: Final = re.compile(
    r"(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)[Tt]"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.\d+)?(?P<zone>[Zz]|[+-]\d\d:\d\d)"
)
_COLON: Final = re.compile(" ?: ?")


class Moment(NamedTuple):
    """A moment, and the zone it was written in.

    Attributes:
        seconds: Since the epoch, in UTC.
        offset: Minutes east of Greenwich.
    """

    seconds: int
    offset: int = 0

    @property
    def day(self) -> int:
        """The day in the writer's zone, in days since the epoch: SENTON (RFC 3501 §6.4.4)."""
        return (self.seconds + self.offset * 60) // _DAY


def format_date(seconds: float, offset: int = 0) -> str:
    """``Fri, 21 Nov 1997 09:55:06 -0600`` (RFC 5322 §3.3)."""
    days, rest = divmod(int(seconds) + offset * 60, _DAY)
    day = _date(days)
    return (
        f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year:04} "
        f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} {_zone(offset)}"
    )


def parse_date(text: str | bytes) -> Moment | None:
    """Read a Date field as leniently as real mail needs: comments, old zones, short years.

    A missing time is midnight, a missing or unknown zone UTC (RFC 5322 §4.3).
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    text = text[:TEXT_LIMIT]
    if "(" in text:
        text = _without_comments(text)
    text = " ".join(text.split())
    if " :" in text or ": " in text:
        # obs-hour = [CFWS] 2DIGIT [CFWS]                                      (RFC 5322 §4.3)
        text = _COLON.sub(":", text)
    found = _RFC5322.match(text)
    if found is None or found["month"].lower() not in _MONTH:
        found = _ASCTIME.match(text) or _ISO.match(text)
    return _moment(found) if found else None


def format_internal(seconds: int) -> bytes:
    """INTERNALDATE in UTC, quoted: ``"17-Jul-1996 02:44:25 +0000"`` (RFC 3501 §9)."""
    days, rest = divmod(seconds, _DAY)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    return b'%s%s:%s:%s +0000"' % (_internal_day(days), _TWO[hour], _TWO[minute], _TWO[second])


def parse_internal(text: str) -> Moment | None:
    """Read APPEND's date-time, without its quotes; one digit of a day needs its space."""
    found = _INTERNAL.fullmatch(text)
    return _moment(found) if found else None


def parse_timestamp(text: str) -> int | None:
    """Read ``1985-04-12T23:20:50Z``: seconds since the epoch (RFC 3339 §5.6)."""
    found = _TIMESTAMP.fullmatch(text)
    moment = _moment(found) if found else None
    return None if moment is None else moment.seconds


def parse_search(text: str) -> int | None:
    """Read a SEARCH date ``1-Feb-1994``: days since the epoch (RFC 3501 §6.4.4)."""
    found = _SEARCH.fullmatch(text)
    if found is None:
        return None
    return _days(int(found[3]), _MONTH.get(found[2].lower(), 0), int(found[1]))


def _moment(found: re.Match[str]) -> Moment | None:
    part = found.groupdict()
    month = int(part["number"]) if "number" in part else _MONTH.get(part["month"].lower(), 0)
    days = _days(_year(part["year"]), month, int(part["day"]))
    hour, minute, second = (int(part[key] or 0) for key in ("hour", "minute", "second"))
    if days is None or hour > 24 or minute > 59 or second > 61:
        return None
    offset = _offset(part["zone"] or "")
    if offset is None:
        return None
    # 60 is a leap second, which POSIX time has not                        (RFC 5322 §3.3)
    return Moment(days * _DAY + hour * 3600 + minute * 60 + min(second, 59) - offset * 60, offset)


def _year(text: str) -> int:
    """Two and three digits as RFC 5322 §4.3 reads them."""
    year = int(text)
    if len(text) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _offset(zone: str) -> int | None:
    if zone[:1] not in {"+", "-"}:
        return _ZONES.get(zone.lower(), 0)
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}{minutes:02}"


def _days(year: int, month: int, day: int) -> int | None:
    """Days since the epoch; None where the calendar has no such day."""
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def _date(days: int) -> date:
    """The day, kept within the calendar that four digits can write."""
    return date.fromordinal(min(max(days + _EPOCH, _FIRST), _LAST))


@lru_cache(maxsize=_CACHED_DAYS)
def _internal_day(days: int) -> bytes:
    day = _date(days)
    return f'"{day.day:2}-{_MONTHS[day.month - 1]}-{day.year:04} '.encode()


def _without_comments(text: str) -> str:
    """The text with each comment, however nested, replaced by a blank (RFC 5322 §3.2.2)."""
    depth, kept = 0, []
    for piece in re.findall(r"\\.|[()]|[^\\()]+|\\", text):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(depth - 1, 0)
            kept.append(" ")
        elif not depth:
            kept.append(piece)
    return "".join(kept)
