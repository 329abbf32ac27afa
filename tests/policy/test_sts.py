"""MTA-STS records and policies, good and bad."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.sts import LONGEST, BadPolicy, Mode, StsPolicy, parse_policy, record_id

GOOD = (
    b"version: STSv1\r\nmode: enforce\r\n"
    b"mx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ; other=x; id = abc ;"], "abc"),
        ([b"v=spf1 -all", b"v=STSv1; id=7;"], "7"),
        ([], None),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], None),
        ([b"v=STSv1;"], None),
        ([b"v=STSv1; id=;"], None),
        ([b"v=STSv1; id=not-alnum;"], None),
        ([b"v=STSv1; id=" + b"a" * 33], None),
        ([b"v=STSv10; id=1;"], None),
        ([b" v=STSv1; id=1;"], None),
        ([b"v=STSv1; badid=1;"], None),
    ],
)
def test_record(texts: list[bytes], expected: str | None) -> None:
    """One record with an id, or no MTA-STS (RFC 8461 §3.1)."""
    assert record_id(texts) == expected


def test_policy() -> None:
    """The RFC's own example, with unknown fields and either line end."""
    expected = StsPolicy(Mode.ENFORCE, ("mail.example.com", "*.example.net"), 604_800)
    assert parse_policy(GOOD) == expected
    assert parse_policy(GOOD.replace(b"\r\n", b"\n") + b"extra: x\n\n") == expected
    assert parse_policy(GOOD.replace(b"604800", b"9999999999")).max_age == LONGEST


def test_none_needs_no_mx() -> None:
    """A policy that ends all policies names no exchange."""
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 1\n").mode is Mode.NONE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "version"),
        (GOOD.replace(b"STSv1", b"STSv2"), "version"),
        (GOOD.replace(b"enforce", b"maybe"), "mode"),
        (GOOD.replace(b"604800", b"-1"), "max_age"),
        (GOOD.replace(b"max_age", b"maxage"), "max_age"),
        (b"version: STSv1\nmode: testing\nmax_age: 5\n", "mx"),
        (GOOD.replace(b"*.example.net", b"*.*.net"), "exchange"),
        (GOOD.replace(b"*.example.net", b"*"), "exchange"),
        (GOOD + b"<html>\n", "colon"),
    ],
)
def test_bad_policy(text: bytes, why: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(BadPolicy, match=why):
        parse_policy(text)


@given(st.binary(max_size=200))
def test_any_octets(text: bytes) -> None:
    """Whatever a web server says, it is a policy or a `BadPolicy`."""
    with contextlib.suppress(BadPolicy):
        parse_policy(text)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.Example.com.", True),
        ("mx1.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("mail.example.org", False),
        ("com", False),
    ],
)
def test_allows(host: str, allowed: bool) -> None:  # a table
    """A wildcard stands for exactly one label (RFC 8461 §4.1)."""
    assert parse_policy(GOOD).allows(host) is allowed
