"""Dates of header fields, of INTERNALDATE and of SEARCH."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.date import (
    Moment,
    format_date,
    format_internal,
    parse_date,
    parse_internal,
    parse_search,
    parse_timestamp,
)

NOV_21 = 880127706  # Fri, 21 Nov 1997 09:55:06 -0600
offsets = st.integers(-14 * 60, 14 * 60)


class TestFormat:
    """Printing."""

    def test_date(self) -> None:
        """RFC 5322's own example."""
        assert format_date(NOV_21, -360) == "Fri, 21 Nov 1997 09:55:06 -0600"
        assert format_date(NOV_21 + 0.9) == "Fri, 21 Nov 1997 15:55:06 +0000"

    def test_internal(self) -> None:
        """One digit of a day has a space before it (RFC 3501 §9: date-day-fixed)."""
        assert format_internal(837596665) == b'"17-Jul-1996 09:44:25 +0000"'
        assert format_internal(0) == b'" 1-Jan-1970 00:00:00 +0000"'

    @pytest.mark.parametrize("seconds", [-(10**15), 10**15])
    def test_beyond_the_calendar(self, seconds: int) -> None:
        """No moment is too far away to be printed."""
        assert parse_internal(format_internal(seconds).decode().strip('"')) is not None
        assert format_date(seconds)


class TestParseDate:
    """Date fields of real mail."""

    @pytest.mark.parametrize(
        "text",
        [
            "Fri, 21 Nov 1997 09:55:06 -0600",
            "21 Nov 1997 09:55:06 -0600",
            "Fri,21 Nov 1997 09:55:06 -0600",
            "fri, 21 nov 1997 15:55:06 gmt",
            "Fri, 21 Nov 97 09:55:06 CST",
            "Fri, 21 Nov 97 09(comment (nested) \\) here):   55  :  06 -0600",
            "Fri, 21 Nov 1997 09:55:06 -0600 (CST)",
            "Fri, 21 Nov 1997 15:55:06 UT",
            "Fri, 21 Nov 1997 15:55:06",
            "Fri, 21 Nov 1997 15:55:06 Z",
            "Fri, 21 Nov 1997 15:55:06 QQQ",
            "Friday, 21-Nov-97 15:55:06 GMT",
            "Fri, 21 Nov 1997 09:55:06 GMT-0600",
            "Fri, 21 Nov 1997 09:55:06 -06:00",
            "Fri Nov 21 15:55:06 1997",
            "Fri Nov 21 15:55:06 UTC 1997",
            "1997-11-21 15:55:06",
            "1997-11-21T09:55:06.123-06:00",
            "Fri, 21 Nov 1997 15.55.06 +0000",
            "Fri,\r\n\t21 November 1997 09:55:06 -0600",
        ],
    )
    def test_forms(self, text: str) -> None:
        """Lawful, obsolete (RFC 5322 §4.3) and merely common forms of one moment."""
        found = parse_date(text)
        assert found is not None
        assert found.seconds == NOV_21

    def test_octets(self) -> None:
        """A field's value is octets; 8-bit ones in a comment do no harm."""
        assert parse_date(b"Fri, 21 Nov 1997 09:55:06 -0600 (\xe9)") == Moment(NOV_21, -360)

    @pytest.mark.parametrize(
        ("year", "expected"), [("49", 2049), ("50", 1950), ("99", 1999), ("103", 2003)]
    )
    def test_short_years(self, year: str, expected: int) -> None:
        """Two and three digits mean what RFC 5322 §4.3 says."""
        assert parse_date(f"1 Jan {year} 00:00 +0000") == parse_date(
            f"1 Jan {expected} 00:00 +0000"
        )

    def test_leap_second(self) -> None:
        """A sixtieth second is the fifty-ninth: the epoch knows none."""
        leap, before = (parse_date(f"31 Dec 1998 23:59:{s} +0000") for s in (60, 59))
        assert leap == before

    def test_no_time(self) -> None:
        """A date alone is its midnight."""
        assert parse_date("21 Nov 1997") == Moment(NOV_21 - (15 * 60 + 55) * 60 - 6, 0)

    @pytest.mark.parametrize(
        "text",
        [
            "", "now", "Fri, 32 Nov 1997 09:55:06", "31 Feb 2020 00:00", "1 Foo 2020 00:00",
            "1 Jan 2020 25:00", "1 Jan 2020 10:61", "1 Jan 2020 10:00 +0099", "(((", "1997-13-01",
            "Foo Bar 21 15:55:06 1997", "0 Jan 0000 00:00",
        ],
    )  # fmt: skip
    def test_none(self, text: str) -> None:
        """What is no date is None."""
        assert parse_date(text) is None

    def test_zone_with_bad_minutes(self) -> None:
        """A zone with ninety-nine minutes is none."""
        assert parse_date("1 Jan 2020 10:00:00 +0160") is None

    def test_day(self) -> None:
        """SENTON disregards time and zone (RFC 3501 §6.4.4): the writer's day counts."""
        late = parse_date("1 Feb 1994 23:30 -0800")
        assert late is not None
        assert late.day == parse_search("1-Feb-1994")

    @given(st.integers(-2208988800, 253402214400), offsets)
    def test_round_trip(self, seconds: int, offset: int) -> None:
        """What is printed is read back."""
        assert parse_date(format_date(seconds, offset)) == Moment(seconds, offset)

    @given(st.text(max_size=80) | st.binary(max_size=80))
    def test_total(self, text: str | bytes) -> None:
        """Reading never fails."""
        parse_date(text)

    @given(
        st.lists(st.sampled_from(["1", "Nov", " ", ":", "-", "(", ")", "97", "+0"]), max_size=40)
    )
    def test_pieces_of_dates(self, pieces: list[str]) -> None:
        """Nor does it for what nearly is a date."""
        parse_date("".join(pieces))


class TestInternal:
    """APPEND's date-time."""

    def test_example(self) -> None:
        """RFC 3501's own example."""
        assert parse_internal("17-Jul-1996 02:44:25 -0700") == Moment(837596665, -420)

    @pytest.mark.parametrize(
        "text",
        [
            "1-Jul-1996 02:44:25 -0700", "17-Jul-96 02:44:25 -0700", "17-Jul-1996 02:44:25",
            "17-Jul-1996  02:44:25 -0700", "17-Xxx-1996 02:44:25 -0700", "",
            "17-Jul-1996 02:44:25 -0700 ", "31-Feb-1996 02:44:25 -0700",
        ],
    )  # fmt: skip
    def test_strict(self, text: str) -> None:
        """A command is read strictly: what is no date-time is None."""
        assert parse_internal(text) is None

    @given(st.integers(-62135596800, 253402300799))
    def test_round_trip(self, seconds: int) -> None:
        """What FETCH prints APPEND reads."""
        assert parse_internal(format_internal(seconds).decode()[1:-1]) == Moment(seconds, 0)


class TestSearch:
    """SEARCH's dates."""

    def test_days(self) -> None:
        """They count from the epoch."""
        assert parse_search("1-Jan-1970") == 0
        assert parse_search("01-FEB-1970") == 31

    @pytest.mark.parametrize("text", ["1-Jan-70", "32-Jan-1970", "1-Foo-1970", "1 Jan 1970", ""])
    def test_none(self, text: str) -> None:
        """What is no date is None."""
        assert parse_search(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1985-04-12T23:20:50.52Z", 482196050),
        ("1996-12-19t16:39:57-08:00", 851042397),
        ("1990-12-31T23:59:60z", 662687999),
        ("1985-04-31T00:00:00Z", None),
        ("1985-04-12T23:20:50", None),
        ("1985-04-12 23:20:50Z", None),
    ],
)
def test_timestamp(text: str, seconds: int | None) -> None:
    """The examples of RFC 3339 §5.8; a leap second is the one before it."""
    assert parse_timestamp(text) == seconds
