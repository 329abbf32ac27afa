"""MIME field values: Content-Type, Content-Disposition and the others."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.parameters import (
    PARAMETER_LIMIT,
    Value,
    content_type,
    disposition,
    languages,
    parameters,
    token,
    without_comments,
)

soup = st.lists(
    st.sampled_from(
        [b"text/plain", b";", b"a=b", b'"', b"\\", b"(", b")", b"*0", b"*1*", b"=", b" ", b"x",
         b"%41", b"utf-8''", b"\xe9", b"\r\n", b"/"]
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


class TestContentType:
    """Type, subtype, parameters."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"text/plain", (b"text", b"plain", ())),
            (b"Text / HTML ; CharSet = utf-8 ;", (b"Text", b"HTML", ((b"CharSet", b"utf-8"),))),
            (b"text/plain (a (b) \\) c); charset (x) = (y) utf-8 (z)",
             (b"text", b"plain", ((b"charset", b"utf-8"),))),
            (b'a/b; x="q \\"r\\" ; \\\\"; y=1',
             (b"a", b"b", ((b"x", b'q "r" ; \\'), (b"y", b"1")))),
            (b'a/b; x="(no comment)"', (b"a", b"b", ((b"x", b"(no comment)"),))),
            (b'a/b; x=""; y=', (b"a", b"b", ((b"x", b""), (b"y", b"")))),
        ],
    )  # fmt: skip
    def test_lawful(self, value: bytes, expected: object) -> None:
        """What RFC 2045 §5.1 allows, comments and quoted pairs included."""
        assert content_type(value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"text/plain charset=utf-8", ((b"charset", b"utf-8"),)),
            (b"text/plain; name=a b c.txt; x=1", ((b"name", b"a b c.txt"), (b"x", b"1"))),
            (b"text/plain; boundary=----=_x==", ((b"boundary", b"----=_x=="),)),
            (b'text/plain; name="never closed; x=1', ((b"name", b"never closed"), (b"x", b"1"))),
            (b"text/plain;; ;charset=x", ((b"charset", b"x"),)),
            (b"text/plain; junk; charset=x", ((b"charset", b"x"),)),
            (b"text/plain; charset='x'", ((b"charset", b"'x'"),)),
            (b"text/plain; name=caf\xe9", ((b"name", b"caf\xe9"),)),
            (b'"text/plain"; x=1', ((b"x", b"1"),)),
            (b'text/plain; x="1"junk; y=2', ((b"x", b"1"), (b"y", b"2"))),
        ],
    )
    def test_real(self, value: bytes, expected: object) -> None:
        """What senders write instead is understood as they meant it."""
        found = content_type(value)
        assert found is not None
        assert found[2] == expected

    @pytest.mark.parametrize(
        "value", [b"", b"text", b"text/", b"/plain", b"a b", b"multipart; x=y"]
    )
    def test_rubbish(self, value: bytes) -> None:
        """What has no type and subtype is None: text/plain is meant (RFC 2045 §5.2)."""
        assert content_type(value) is None

    def test_limit(self) -> None:
        """A field full of parameters yields a bounded number of them."""
        found = content_type(b"a/b" + b";x=1" * 10_000)
        assert found is not None
        assert len(found[2]) == PARAMETER_LIMIT

    @given(soup | st.binary(max_size=60))
    def test_total(self, value: bytes) -> None:
        """Nothing raises, whatever the value."""
        content_type(value)
        disposition(value)
        token(value)
        languages(value)

    @pytest.mark.parametrize(
        "value",
        [
            b"a/b" + piece * 20_000
            for piece in (b";", b'"', b"(", b"\\", b' ;x="', b"=a ", b"*0", b"'", b"a*0=")
        ],
    )
    def test_linear(self, value: bytes) -> None:
        """No value takes more than linear time."""
        start = time.process_time()
        content_type(value)
        disposition(value)
        assert time.process_time() - start < 0.5


class TestContinuations:
    """RFC 2231."""

    def test_example(self) -> None:
        """RFC 2231 §4.1's example, as IMAP shows it (RFC 2231 §6)."""
        value = (
            b" title*0*=us-ascii'en'This%20is%20even%20more%20;"
            b' title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
        )
        assert parameters(value, 0) == (
            (
                b"title*",
                b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
            ),
        )

    def test_plain(self) -> None:
        """Sections without charset are joined, in whatever order they come."""
        value = b'x=1; NAME*1="def"; name*0="abc"'
        assert parameters(value, 0) == ((b"x", b"1"), (b"name", b"abcdef"))

    def test_single(self) -> None:
        """An extended value in one section keeps its star."""
        assert parameters(b"name*=utf-8''%e2%82%ac", 0) == ((b"name*", b"utf-8''%e2%82%ac"),)

    def test_gap(self) -> None:
        """Sections behind a gap stay what they are; without a first one so do all."""
        assert parameters(b"a*0=x; a*2=z; b*1=y", 0) == (
            (b"a", b"x"),
            (b"a*2", b"z"),
            (b"b*1", b"y"),
        )

    def test_late_charset(self) -> None:
        """A first section without charset gets an empty one if another is extended."""
        assert parameters(b"a*0=x y; a*1*=%41", 0) == ((b"a*", b"''x%20y%41"),)


class TestOthers:
    """Dispositions, encodings, languages, comments."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"inline", Value(b"inline", ())),
            (b'attachment; filename="a b"; size=3',
             Value(b"attachment", ((b"filename", b"a b"), (b"size", b"3")))),
            (b"attachment filename=x", Value(b"attachment", ((b"filename", b"x"),))),
            (b"; filename=x", Value(b"attachment", ((b"filename", b"x"),))),
            (b"filename=x", Value(b"attachment", ((b"filename", b"x"),))),
            (b"inline (comment)", Value(b"inline", ())),
            (b"", None),
            (b";", None),
        ],
    )  # fmt: skip
    def test_disposition(self, value: bytes, expected: Value | None) -> None:
        """A type with parameters; without a type it is an attachment (RFC 2183 §2.8)."""
        assert disposition(value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(b"base64", b"base64"), (b' "Base64";', b"Base64"), (b"8bit (x)", b"8bit"), (b"", None)],
    )
    def test_token(self, value: bytes, expected: bytes | None) -> None:
        """The first token, whatever surrounds it."""
        assert token(value) == expected

    def test_languages(self) -> None:
        """Tags, with comments and quotes taken away (RFC 3282 §2)."""
        assert languages(b'en (English), de ,"fr"') == (b"en", b"de", b"fr")
        assert languages(b"") == ()

    def test_comments(self) -> None:
        """Nested ones go at once; a parenthesis that closes nothing stays."""
        assert without_comments(b'a(b(c)d)e"(f)"g)h(i') == b'a e"(f)"g)h'
