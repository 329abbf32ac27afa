"""What people read in HTML."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.html import SLICE, text_of


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Hello  there,\r\n you</p>", "\nHello there, you\n"),
        ("<b>W</b>ord<br>next", "Word\nnext"),
        ("a &lt;b&gt; &amp; &#8364;", "a <b> & €"),
        ("<style>p {}</style>x<script>y</script><!-- z -->w", "\nx\n\nw"),
        ("<script>never closed", "\n"),
        ("<script>x</script", "\n"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("&#" + "0" * 5000 + "65;&#" + "0" * 5000, "A\ufffd"),
        ('<a href="http://x.example/?a=1&amp;b">here</a>', "here\nhttp://x.example/?a=1&b"),
        ("<img alt='a cat' title=pet>", "\n\na cat\npet"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ('<p class="a>b">x', "\nx"),
        ("<", "<"),
    ],
)
def test_text(source: str, text: str) -> None:
    """Tags go, entities are resolved, addresses of links are kept."""
    assert text_of(source) == text


@given(st.text("<>/!-ab\"'&; =", max_size=40))
def test_any(source: str) -> None:
    """Nothing raises."""
    text_of(source)


def test_long() -> None:
    """A long document is read in slices."""
    source = "<p>word</p>" * (SLICE // 4)
    assert text_of(source).count("word") == SLICE // 4


def test_hostile() -> None:
    """Unclosed things cost no more than their length."""
    began = time.process_time()
    for piece in ("<a ", "<!--", '<a href="', "<script>", "&#", "<a b='"):
        text_of(piece * 50_000)
    text_of("<" + "a" * 120_000)
    text_of("<script>" + "</script " * 14_000)
    assert time.process_time() - began < 2.0
