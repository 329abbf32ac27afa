"""xtext, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.smtp import xtext


class TestXtext:
    @pytest.mark.parametrize("text", ["", "abc", "a+2Bb", "a+3Db", "a+20b", "x@y"])
    def test_good(self, text: str) -> None:
        """Printable ASCII, with + and = in hexadecimal, is xtext (RFC 3461 §4)."""
        assert xtext.is_xtext(text)

    @pytest.mark.parametrize(
        "text", ["a b", "a=b", "a+b", "a+2", "a+2b", "+0D+0A", "+FF", "ü", "\x7f", "\0"]
    )
    def test_bad(self, text: str) -> None:
        """Anything else is not; nor is what hides control characters."""
        assert not xtext.is_xtext(text)

    @given(st.binary())
    def test_round_trip(self, octets: bytes) -> None:
        """Decoding undoes encoding."""
        assert xtext.decode(xtext.encode(octets)) == octets

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
    def test_encoded_is_good(self, text: str) -> None:
        """Printable ASCII encodes to xtext."""
        assert xtext.is_xtext(xtext.encode(text.encode()))


class TestUnitext:
    def test_utf8(self) -> None:
        r"""Non-ASCII stands for itself with SMTPUTF8, else as ``\x{…}`` (RFC 6533 §3)."""
        assert xtext.is_unitext("jürgen@x", utf8=True)
        assert not xtext.is_unitext("jürgen@x", utf8=False)
        assert xtext.is_unitext(r"j\x{FC}rgen@x", utf8=False)
        assert not xtext.is_unitext(r"j\x{G}", utf8=True)
        assert not xtext.is_unitext("a\\b", utf8=True)
        assert not xtext.is_unitext("a b", utf8=True)

    @given(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1))
    def test_embedded_is_good(self, text: str) -> None:
        """Whatever an address holds, it has a form in ASCII, and that form is left alone."""
        embedded = xtext.embed(text)
        assert xtext.is_unitext(embedded, utf8=False)
        assert xtext.embed_non_ascii(embedded) == embedded
        assert xtext.embed_non_ascii("utf-8;jürgen@x") == r"utf-8;j\x{FC}rgen@x"
