"""Commands: from lines to values, or to refusals."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body
from mailhub.mail.reply import Refusal
from mailhub.smtp.command import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Foreign,
    Garbled,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse,
)

ANN = Path("ann", "hub.example")


def refused(line: str, *, utf8: bool = False) -> str:
    """The code and status of a line's refusal."""
    with pytest.raises(Refusal) as caught:
        parse(line.encode(), utf8=utf8)
    return caught.value.reply.text[:9]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("EHLO client.example", Ehlo("client.example")),
        ("ehlo  [IPv6:::1] ", Ehlo("[IPv6:::1]")),
        ("HELO büro", Helo("b?ro")),
        ("DATA ", Data()),
        ("RSET", Rset()),
        ("NOOP a b c", Noop()),
        ("VRFY ann", Vrfy()),
        ("EXPN staff", Expn()),
        ("HELP", Help()),
        ("HELP MAIL", Help()),
        ("QUIT", Quit()),
        ("starttls", StartTls()),
        ("AUTH plain", Auth("PLAIN", None)),
        ("AUTH SCRAM-SHA-256 =", Auth("SCRAM-SHA-256", "=")),
        ("BDAT 0", Bdat(0, last=False)),
        ("BDAT 86 last", Bdat(86, last=True)),
        ("GET / HTTP/1.1", Foreign()),
        ("BDAT", Garbled()),
        ("BDAT -1", Garbled()),
        ("BDAT 1 FIRST", Garbled()),
        ("BDAT 99999999999999999999", Garbled()),
    ],
)
def test_commands(line: str, command: Command) -> None:
    """Each verb, in any case, with blanks where they are tolerated (RFC 5321 §2.4, §4.1.1)."""
    assert parse(line.encode()) == command


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("MAIL FROM:<>", NULL),
        ("MAIL FROM:<ann@hub.example>", ANN),
        ("mail from: <ann@HUB.example> ", ANN),
        ("MAIL FROM:ann@hub.example", ANN),
        ("MAIL FROM:<@a.example,@b.example:ann@hub.example>", ANN),
        ('MAIL FROM:<"a > b"@hub.example>', Path("a > b", "hub.example")),
        (r'MAIL FROM:<"a\"b"@hub.example>', Path('a"b', "hub.example")),
        ("MAIL FROM:<ann@[127.0.0.1]>", Path("ann", "[127.0.0.1]")),
    ],
)
def test_paths(line: str, path: Path) -> None:
    """Paths as RFC 5321 §4.1.2 has them, and as clients send them."""
    command = parse(line.encode())
    assert command == Mail(path)


def test_parameters() -> None:
    """Parameters stand behind the path, brackets or not."""
    for path in ("<ann@hub.example>", "ann@hub.example"):
        line = f"MAIL FROM:{path} SIZE=10 BODY=8BITMIME".encode()
        assert parse(line) == Mail(ANN, size=10, body=Body.EIGHT_BIT)


def test_recipients() -> None:
    """Postmaster needs no domain, in any case (RFC 5321 §4.1.1.3, §4.5.1)."""
    assert parse(b"RCPT TO:<PostMaster>") == Rcpt(Path("PostMaster", ""))
    assert parse(b"RCPT TO:<ann@hub.example> NOTIFY=NEVER") != Rcpt(ANN)
    assert parse(b"rcpt to:ann@hub.example") == Rcpt(ANN)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "500 5.5.2"),
        (" NOOP", "500 5.5.2"),
        ("FROBNICATE", "500 5.5.2"),
        ("NOOP\tx", "500 5.5.2"),
        ("MAIL FROM:<a\0@b>", "500 5.5.2"),
        ("EHLO", "501 Synt"),
        ("EHLO a b", "501 Synt"),
        ("HELO " + 256 * "x", "501 Synt"),
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM:", "501 5.5.4"),
        ("MAIL FROM:<a@b> <c@d>", "501 5.5.4"),
        ("MAIL FROM:<<a@b>>", "501 5.5.4"),
        ('MAIL FROM:<"a@b>', "501 5.5.4"),
        ("MAIL FROM:ann", "501 5.5.4"),
        ("MAIL FROM:<a@b>SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<ann>", "501 5.1.7"),
        ("MAIL FROM:<postmaster> SIZE=1", "501 5.1.7"),
        ("MAIL FROM:<a..b@c>", "501 5.1.7"),
        ("MAIL FROM:<ü@c> SIZE=1", "553 5.6.7"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<a..b@c>", "501 5.1.3"),
        ("RCPT TO:<ü@c>", "553 5.6.7"),
        ("RCPT FROM:<a@b>", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH PL/AIN", "501 5.5.4"),
        ("AUTH PLAIN a b", "501 5.5.4"),
        ("VRFY", "501 5.5.4"),
        ("EXPN ", "501 5.5.4"),
        ("RSET x", "501 5.5.4"),
    ],
)
def test_refused(line: str, text: str) -> None:
    """What cannot be read has the code that says why."""
    assert refused(line)[: len(text)] == text


def test_not_utf8() -> None:
    """Octets that are no text are refused."""
    with pytest.raises(Refusal, match=r"500 5\.5\.2"):
        parse(b"NOOP \xff")


def test_utf8() -> None:
    """Non-ASCII addresses need SMTPUTF8, on MAIL or in its transaction (RFC 6531 §3.5)."""
    line = "MAIL FROM:<jürgen@bücher.example> SMTPUTF8".encode()
    assert parse(line) == Mail(Path("jürgen", "xn--bcher-kva.example"), utf8=True)
    path = Path("jürgen", "hub.example")
    assert parse("RCPT TO:<jürgen@hub.example>".encode(), utf8=True) == Rcpt(path)


@given(st.text(max_size=80), st.sampled_from(["MAIL FROM:<", "RCPT TO:", "BDAT ", "AUTH ", ""]))
def test_random(text: str, start: str) -> None:
    """Any line is a command or a refusal, and no value holds control characters."""
    try:
        command = parse((start + text).encode("utf-8", "surrogatepass"), utf8=True)
    except Refusal as refusal:
        shown, code = "", refusal.reply.code
    else:
        shown, code = repr(command), 500
    assert code >= 500
    assert "\\r" not in shown
    assert "\\n" not in shown


def test_linear() -> None:
    """No line takes long to refuse."""
    began = time.perf_counter()
    for line in (
        'MAIL FROM:<"' + 6000 * "\\" + 'x"',
        "MAIL FROM:<" + 3000 * '"a"',
        "MAIL FROM:<" + 3000 * '"a',
        "MAIL FROM:" + 6000 * " ",
        "MAIL FROM:<a@b>" + 6000 * " " + "\u20ac",
        "RCPT TO:" + 6000 * "a@",
        "RCPT TO:<" + 6000 * "@a,",
        "MAIL FROM:<" + 12000 * "a.",
    ):
        assert refused(line)
    assert time.perf_counter() - began < 0.5
