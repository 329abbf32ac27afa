"""Keys that look into a message: the question to the index means what reading means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.criteria import And, Comparison, Date, Header, Not, Or, Text
from mailhub.imap.leaf import (
    Row,
    haystacks,
    in_values,
    keys_within,
    needs_reading,
    question_of,
    sent_on,
)
from mailhub.mail import header
from mailhub.mail.collation import fold
from mailhub.mail.digest import digest
from mailhub.ports.finding import Place, SentOn, Sought
from tests.imap.fakes import NOW, holds

MESSAGE = (
    b"Subject: One\r\n folded\r\nX-Empty:\r\nTo: a@x\r\nTo: b@x\r\n"
    b"Date: 3 Jan 1970 23:00 -0200\r\n\r\n"
    b"Some body\r\nof text\r\n"
)  # fmt: skip


def row() -> Row:
    made = Row(1, 1, 0, len(MESSAGE), NOW)
    made.fields = header.index(MESSAGE)
    made.digest = digest(MESSAGE)
    return made


@pytest.mark.parametrize(
    ("key", "question"),
    [
        (Header(b"SUBJECT", "é"), Sought(Place.SUBJECT, "E\u0301")),
        (Header(b"TO", ""), Sought(Place.TO, "")),
        (Header(b"X-SPAM", "yes"), Sought(Place.HEAD, "YES")),
        (Header(b"X-SPAM", ""), Sought(Place.HEAD, "\nX-SPAM: ")),
        (Header(b"TO", "a\nb"), None),
        (Text("x", header=False), Sought(Place.BODY, "X")),
        (Text("x", header=True), Sought(Place.TEXT, "X")),
        (Date(Comparison.FROM, 3, sent=True), SentOn(">=", 3)),
    ],
)
def test_questions(key: Header | Text | Date, question: object) -> None:
    """What the index is asked."""
    assert question_of(key) == question


@given(
    st.sampled_from([b"SUBJECT", b"TO", b"CC", b"X-EMPTY", b"X-NONE"]),
    st.text("One fldab@x", max_size=3),
)
def test_fields(field: bytes, text: str) -> None:
    """A field that the index is sure of is judged the same by reading."""
    question = question_of(Header(field, text))
    assert isinstance(question, Sought)
    reads = in_values(row(), field.lower(), fold(text))
    if question.place is not Place.HEAD or not text:
        assert holds(digest(MESSAGE), question) == reads
    else:
        assert holds(digest(MESSAGE), question) >= reads


@given(st.text("Some bodytx:\r\n", max_size=4), st.booleans())
def test_texts(text: str, whole: bool) -> None:
    """So are texts."""
    question = question_of(Text(text, header=whole))
    assert isinstance(question, Sought)
    reads = any(fold(text) in it for it in haystacks(row(), header=whole))
    assert holds(digest(MESSAGE), question) == reads


def test_dates() -> None:
    """The sender's day counts, and that of arrival without one."""
    assert sent_on(Comparison.EQUAL, 2)(row())
    bare = Row(1, 1, 0, 0, NOW)
    assert sent_on(Comparison.EQUAL, NOW // 86400)(bare)


def test_within() -> None:
    """All keys of a program; those that arrays can tell need no reading."""
    one, other = Text("a", header=True), Header(b"TO", "b")
    assert list(keys_within(And((Or(Not(one), other),))))[-2:] == [one, other]
    assert needs_reading(one)
    assert not needs_reading(Text("", header=True))
    assert not needs_reading(Date(Comparison.EQUAL, 1, sent=False))
