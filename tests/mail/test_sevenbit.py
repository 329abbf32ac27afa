"""Messages in 7 bits: what a reader sees stays the same."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.sevenbit import Impossible, seven_bit

TYPED = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
LABEL = b"Content-Transfer-Encoding: 8bit\r\n"
HELLO = "Grüße, chào bạn.\r\n.\r\nFrom here \r\n".encode()


def read(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def body(octets: bytes) -> bytes:
    found = read(octets).get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


def multipart(subtype: str, *parts: bytes) -> bytes:
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary="b"\r\n'.encode()
    pieces = [b"--b\r\n" + part + b"\r\n" for part in parts]
    return b"%b%b\r\nPreamble\r\n%b--b--\r\n" % (head, LABEL, b"".join(pieces))


def test_ascii_stays() -> None:
    """What is in 7 bits is left alone, whatever its label says."""
    content = TYPED + LABEL + b"\r\nHello\r\n"
    assert seven_bit(content) == content


def test_text() -> None:
    """Text becomes quoted-printable, its fields stay, and there is one label."""
    content = (
        b"Subject: x\r\n" + TYPED + b"content-transfer-encoding:\r\n 8BIT\r\nX: y\r\n\r\n" + HELLO
    )
    made = seven_bit(content)
    assert made.isascii()
    assert max(map(len, made.split(b"\r\n"))) <= 76
    assert b"\n" not in made.replace(b"\r\n", b"")
    message = read(made)
    assert message.get_all("content-transfer-encoding") == ["quoted-printable"]
    assert (message["subject"], message["x"]) == ("x", "y")
    assert body(made) == HELLO


def test_version() -> None:
    """A label without MIME-Version would not count (RFC 2045 §4): it is added, once."""
    typed = TYPED.partition(b"\r\n")[2]
    whole = multipart("mixed", typed + b"\r\n" + HELLO)
    for content in (typed + b"\r\n" + HELLO, whole.partition(b"\r\n")[2], whole):
        assert read(seven_bit(content)).get_all("mime-version") == ["1.0"]


@pytest.mark.parametrize(("octets", "charset"), [(HELLO, "utf-8"), (b"\xff\r\n", "unknown-8bit")])
def test_nothing_said(octets: bytes, charset: str) -> None:
    """A message that says nothing of itself gets the fields that say what it is now."""
    made = seven_bit(b"Subject: x\r\n\r\n" + octets)
    message = read(made)
    assert message["mime-version"] == "1.0"
    assert message["content-type"].params["charset"] == charset
    assert body(made) == octets


def test_no_header() -> None:
    """A message without any header is one, too."""
    made = seven_bit(b"\r\n" + HELLO)
    assert made.startswith(b"MIME-Version: 1.0\r\n")
    assert body(made) == HELLO


@given(st.binary(min_size=1, max_size=300))
def test_data(octets: bytes) -> None:
    """What is no text becomes base64, whatever it is."""
    octets = octets.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\xff\r\n"
    made = seven_bit(b"MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n" + octets)
    assert made.isascii()
    assert made.endswith(b"\r\n")
    assert body(made) == octets


def test_parts() -> None:
    """Of a multipart those are encoded that need it; the others stay to the octet."""
    image = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"
    inner = b"Content-Type: message/rfc822\r\n" + LABEL + b"\r\n" + TYPED + LABEL + b"\r\n" + HELLO
    content = multipart("mixed", b"\r\nplain", b"\r\n" + HELLO, image, inner)
    made = seven_bit(content)
    assert made.isascii()
    for kept in (b"--b\r\n\r\nplain\r\n--b\r\n", b"\r\nPreamble\r\n", image + b"\r\n--b\r\n"):
        assert kept in made
    message = read(made)
    assert message["content-transfer-encoding"] == "7bit"
    plain, text, _, enclosed = message.iter_parts()
    assert plain.get_payload() == "plain"
    assert text.get_payload(decode=True) == HELLO
    [letter] = enclosed.iter_parts()
    assert letter.get_payload(decode=True) == HELLO


@pytest.mark.parametrize(
    "content",
    [
        "Subject: ü\r\n\r\nx\r\n".encode(),
        multipart("signed", b"\r\n" + HELLO, b"Content-Type: application/x\r\n\r\nAAAA"),
        multipart("mixed", "Subject: ü\r\n\r\nx".encode()),
        multipart("mixed", b"\r\nx").replace(b"Preamble", "Grüße".encode()),
        TYPED + b"Content-Transfer-Encoding: base64\r\n\r\n" + HELLO,
        b"Content-Type: message/global\r\n\r\n" + HELLO,
    ],
)
def test_impossible(content: bytes) -> None:
    """What may not be encoded is not."""
    with pytest.raises(Impossible):
        seven_bit(content)
