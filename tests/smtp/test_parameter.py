"""Parameters of MAIL and RCPT."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.envelope import Body, DeliverBy, Notify, Return
from mailhub.mail.reply import Refusal
from mailhub.smtp import parameter


def mail(text: str, *, utf8: bool = False) -> dict[str, Any]:
    return parameter.read(parameter.split(text), parameter.MAIL, utf8=utf8)


def rcpt(text: str, *, utf8: bool = False) -> dict[str, Any]:
    return parameter.read(parameter.split(text), parameter.RCPT, utf8=utf8)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SIZE=0", {"size": 0}),
        ("size=12345678901234567890", {"size": 12345678901234567890}),
        ("BODY=7bit", {"body": Body.SEVEN_BIT}),
        ("BODY=BINARYMIME  RET=hdrs", {"body": Body.BINARY, "ret": Return.HEADERS}),
        ("ENVID=" + 100 * "x", {"envid": 100 * "x"}),
        ("SMTPUTF8 REQUIRETLS", {"utf8": True, "require_tls": True}),
        ("AUTH=<>", {"auth": ""}),
        ("HOLDFOR=86400", {"hold_for": 86400}),
        ("HOLDUNTIL=1970-01-02T00:00:00Z", {"hold_until": 86400.0}),
        ("HOLDUNTIL=1970-01-02t01:30:00.25+01:30", {"hold_until": 86400.0}),
        ("BY=+120;R", {"by": DeliverBy(120, returned=True)}),
        ("BY=-5;nT", {"by": DeliverBy(-5, returned=False, trace=True)}),
        ("MT-PRIORITY=-9", {"priority": -9}),
        ("MT-PRIORITY=0", {"priority": 0}),
        ("AUTH=e+3Dmc2@example.com", {"auth": "e+3Dmc2@example.com"}),
    ],
)
def test_mail(text: str, kept: dict[str, Any]) -> None:
    """MAIL's parameters, each as its RFC has it."""
    assert mail(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        *("SIZE", "SIZE=", "SIZE=-1", "SIZE=1x", "SIZE=123456789012345678901", "BODY", "BODY=X"),
        *("RET=ALL", "RET", "ENVID", "ENVID=" + 101 * "x", "ENVID=a+b", "SMTPUTF8=1"),
        *("REQUIRETLS=yes", "AUTH", "AUTH=a+", "AUTH=nobody", "-X", "SIZE=1=2", "SIZE=1 SIZE=2"),
        *("HOLDFOR=0", "HOLDFOR", "HOLDUNTIL=tomorrow", "HOLDUNTIL=2026-13-01T00:00:00Z"),
        *("BY=0;R", "BY=-1;R", "BY=1;X", "BY=1", "BY=1234567890;N"),
        *("MT-PRIORITY=10", "MT-PRIORITY=+1", "MT-PRIORITY=-0", "MT-PRIORITY"),
        "x\x7f",
    ],
)
def test_bad_mail(text: str) -> None:
    """A malformed or doubled one is 501 5.5.4."""
    with pytest.raises(Refusal) as caught:
        mail(text)
    assert caught.value.reply.text.startswith("501 5.5.4 ")


def test_unknown() -> None:
    """One that was never announced is 555 5.5.4 (RFC 5321 §4.1.1.11)."""
    for read in (mail, rcpt):
        with pytest.raises(Refusal) as caught:
            read("FROBNICATE")
        assert caught.value.reply.text == "555 5.5.4 FROBNICATE is not supported"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("NOTIFY=never", {"notify": Notify.NEVER}),
        ("NOTIFY=SUCCESS,failure", {"notify": Notify.SUCCESS | Notify.FAILURE}),
        ("ORCPT=rfc822;a+2Bb@x", {"orcpt": "rfc822;a+2Bb@x"}),
        (r"ORCPT=utf-8;j\x{FC}@x", {"orcpt": r"utf-8;j\x{FC}@x"}),
        ("ORCPT=utf-8;plain+2Bx@x", {"orcpt": "utf-8;plain+2Bx@x"}),
    ],
)
def test_rcpt(text: str, kept: dict[str, Any]) -> None:
    """RCPT's parameters (RFC 3461 §4.1, §4.2; RFC 6533 §3)."""
    assert rcpt(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        *("NOTIFY", "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=SOON", "NOTIFY=DELAY,"),
        *("ORCPT", "ORCPT=x", "ORCPT=;x", "ORCPT=rfc822;", "ORCPT=rfc822;a+b", "ORCPT=utf-8;ü"),
        "ORCPT=rfc822;" + 500 * "x",
    ],
)
def test_bad_rcpt(text: str) -> None:
    """A malformed one is 501 5.5.4."""
    with pytest.raises(Refusal) as caught:
        rcpt(text)
    assert caught.value.reply.code == 501


def test_utf8() -> None:
    """With SMTPUTF8 an original recipient may be in any script."""
    assert rcpt("ORCPT=utf-8;jürgen@x", utf8=True) == {"orcpt": "utf-8;jürgen@x"}


@given(st.text(max_size=60), st.booleans())
def test_random(text: str, utf8: bool) -> None:
    """Any text is kept or refused, nothing else."""
    for read in (mail, rcpt):
        code = 501
        try:
            read(text, utf8=utf8)
        except Refusal as refusal:
            code = refusal.reply.code
        assert code in (501, 555)
