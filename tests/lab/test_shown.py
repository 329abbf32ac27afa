"""Messages as programs read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.lab.inboxes import Mail
from mailhub.lab.shown import shown

CORPUS = Path(__file__).parents[1] / "corpus"


def test_shown() -> None:
    """Texts are decoded, in whatever form they came."""
    content = (
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"From: Ann\r\n <ann@a.example>\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n"
        b"--x\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<b>\xfc</b>\r\n"
        b"--x\r\nContent-Type: application/pdf\r\n"
        b"Content-Disposition: attachment; filename=a.pdf\r\n\r\nPDF\r\n--x--\r\n"
    )
    found = shown(Mail(7, 1_800_000_000, content))
    assert found["subject"] == found["text"] == "Grüße"
    assert found["from"] == "Ann <ann@a.example>"
    assert found["headers"][1] == ["From", "Ann <ann@a.example>"]
    assert found["html"] == "<b>\xfc</b>"
    assert found["attachments"] == [{"name": "a.pdf", "type": "application/pdf"}]
    assert (found["id"], found["received"]) == (7, 1_800_000_000)


def test_attached_texts() -> None:
    """A text that is attached is no text of the message; a message within is one attachment."""
    content = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Disposition: attachment; filename=log.txt\r\n\r\nlog\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner\r\n"
        b"--x\r\n\r\nouter\r\n--x--\r\n"
    )
    found = shown(Mail(1, 0, content))
    assert found["text"] == "outer"
    assert found["html"] == ""
    assert found["attachments"] == [
        {"name": "log.txt", "type": "text/plain"},
        {"name": None, "type": "message/rfc822"},
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe nonsense",
        b'To: a@b@c, <, "\r\n\r\n',
        b"Message-ID: <[\r\nFrom: foo@[\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary="\r\n\r\n--\r\n',
    ],
)
def test_nonsense(content: bytes) -> None:
    """What is hardly a message is shown all the same; Python's own parser raises at these."""
    assert shown(Mail(1, 0, content))["size"] == len(content)


def test_corpus() -> None:
    """So is whatever else once hurt somebody."""
    samples = [it for it in CORPUS.rglob("*") if it.is_file()]
    assert len(samples) > 100
    for sample in samples:
        json.dumps(shown(Mail(1, 0, sample.read_bytes())))


@given(st.binary(max_size=200))
def test_anything(content: bytes) -> None:
    """And any octets."""
    json.dumps(shown(Mail(1, 0, content))).encode()
