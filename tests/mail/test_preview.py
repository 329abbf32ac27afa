"""The beginning of a message's text."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.part import parse
from mailhub.mail.preview import LENGTH, SOURCE, preview, text_of_html


def of(content: bytes) -> str:
    return preview(content, parse(content))


def html(body: str) -> bytes:
    return b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()


class TestChoice:
    def test_plain(self) -> None:
        """Text is put on one line, and cut."""
        assert of(b"Subject: x\r\n\r\nHello,\r\n\r\n  you \x07there.\r\n") == "Hello, you there."
        assert of(b"\r\n" + b"word " * 1000) == ("word " * 40).rstrip()

    @pytest.mark.parametrize("first", ["plain", "html"])
    def test_alternative(self, first: str) -> None:
        """Of alternatives the plain one is shown; if it is empty, the other."""
        parts = {
            "plain": b"Content-Type: text/plain\r\n\r\nplain\r\n",
            "html": b"Content-Type: text/html\r\n\r\n<p>rich\r\n",
        }
        second = "html" if first == "plain" else "plain"
        head = b"Content-Type: multipart/alternative; boundary=c\r\n\r\n"
        body = b"".join(b"--c\r\n" + parts[name] for name in (first, second)) + b"--c--\r\n"
        assert of(head + body) == "plain"
        assert of(head + body.replace(b"\r\nplain", b"\r\n \r\n")) == "rich"

    def test_attachment(self) -> None:
        """An attached text is not what the message says."""
        content = (
            b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
            b"Content-Disposition: attachment\r\n\r\nattached\r\n--c--\r\n"
        )
        assert of(content) == ""
        assert of(b"Content-Type: image/png\r\n\r\nabc") == ""

    def test_quoted(self) -> None:
        """Quotations and signatures say nothing new, unless they are all."""
        assert of(b"\r\n> old\r\nnew\r\n-- \r\nAnn\r\n") == "new"
        assert of(b"\r\n> old\r\n> older\r\n") == "> old > older"

    def test_decoded(self) -> None:
        """Transfer encodings and charsets are undone, also of a part that is cut."""
        text = "größer als ☃ " * 20 + "\r\n"
        body = base64.encodebytes(text.encode() * 300).replace(b"\n", b"\r\n")
        head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
        assert len(body) > SOURCE
        assert of(head + b"\r\n" + body) == text[:LENGTH].rstrip()
        latin = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nsch\xf6n"
        assert of(latin) == "schön"


class TestHtml:
    def test_markup(self) -> None:
        """Tags, styles and comments go, entities are resolved, words stay apart."""
        markup = (
            "<html><head><title>T</title><style>p {x: '<b>'}</style></head><body>"
            "<!-- hidden > --><p>Dear <b>An</b>n &amp; Bob,</p><script>x()</script><p>hi&#33;</p>"
        )
        assert of(html(markup)) == "Dear Ann & Bob, hi!"

    def test_broken(self) -> None:
        """Whatever is never closed hides the rest, but for a head that meets a body."""
        assert text_of_html("a<!-- b") == "a"
        assert text_of_html("a<b") == "a"
        assert text_of_html("a<style>b") == "a"
        assert text_of_html("<head>x<body>y").strip() == "y"
        assert text_of_html("1 < 2 <") == "1 < 2 <"

    def test_linear(self) -> None:
        """Marks that are never closed cost no more than others."""
        started = time.process_time()
        for hostile in ("<!--" * 8000, "<style" * 6000, "<" * 32000, "<style></p" * 3000):
            text_of_html(hostile)
        assert time.process_time() - started < 1


@given(st.binary(max_size=300), st.sampled_from([b"", b"Content-Type: text/html\r\n\r\n"]))
def test_anything(octets: bytes, head: bytes) -> None:
    """Whatever comes, a preview is one short line."""
    found = of(head + octets)
    assert len(found) <= LENGTH
    assert found == " ".join(found.split())
