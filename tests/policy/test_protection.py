"""Whose demand on the encryption counts."""

from __future__ import annotations

import pytest

from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.policy.protection import NOTHING, Assurance, By, Protection, protection, tls_optional
from mailhub.policy.route import TlsDemand
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.ports.resolver import Tlsa

HOST = "mx.far.example"
GOOD = Tlsa(3, 1, 1, bytes(32))
USELESS = Tlsa(1, 1, 1, bytes(32))
ENFORCED = Assurance(sts=StsPolicy(Mode.ENFORCE, (HOST,), 100))
NONE, OPPORTUNISTIC, REQUIRED, VERIFIED = TlsDemand


def demanded(
    configured: TlsDemand, assurance: Assurance = NOTHING, *records: Tlsa, host: str = HOST
) -> Protection:
    return protection(configured, host, assurance, records)


@pytest.mark.parametrize("configured", list(TlsDemand))
def test_nothing_known(configured: TlsDemand) -> None:
    """The operator's demand alone."""
    assert demanded(configured) == Protection(configured)


@pytest.mark.parametrize("configured", [OPPORTUNISTIC, REQUIRED, VERIFIED])
def test_dane(configured: TlsDemand) -> None:
    """Usable records decide, whatever else is demanded; the useless ones are left out."""
    found = demanded(configured, ENFORCED, USELESS, GOOD)
    assert found == Protection(VERIFIED, By.DANE, (GOOD,))


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (OPPORTUNISTIC, Protection(REQUIRED, By.DANE)),
        (REQUIRED, Protection(REQUIRED)),
        (VERIFIED, Protection(VERIFIED)),
    ],
)
def test_useless_records(configured: TlsDemand, expected: Protection) -> None:
    """They demand TLS, with any certificate (RFC 7672 §2.2)."""
    assert demanded(configured, NOTHING, USELESS) == expected


def test_sts() -> None:
    """An enforced policy demands a public authority's certificate, and one of its hosts."""
    assert demanded(OPPORTUNISTIC, ENFORCED) == Protection(VERIFIED, By.STS)
    with pytest.raises(Refusal) as caught:
        demanded(OPPORTUNISTIC, ENFORCED, host="mx.villain.example")
    assert caught.value.reply.code == 451


def test_sts_beside_useless_records() -> None:
    """Records that cannot be met do not put an enforced policy out of force."""
    assert demanded(OPPORTUNISTIC, ENFORCED, USELESS) == Protection(VERIFIED, By.STS)


def test_sts_in_testing() -> None:
    """A policy in testing demands nothing (RFC 8461 §5)."""
    testing = Assurance(sts=StsPolicy(Mode.TESTING, (HOST,), 100))
    assert demanded(OPPORTUNISTIC, testing, host="mx.villain.example").demand is OPPORTUNISTIC


def test_no_tls_at_all() -> None:
    """An operator who wants none gets none."""
    assert demanded(NONE, ENFORCED, GOOD) == Protection(NONE)


class TestRequireTls:
    """REQUIRETLS goes before everything (RFC 8689 §4.2.1)."""

    def test_vouched(self) -> None:
        """To a host that DNSSEC or MTA-STS vouches for, with a certificate."""
        for assurance, by in ((Assurance(authentic=True), By.MESSAGE), (ENFORCED, By.STS)):
            found = protection(NONE, HOST, assurance, (), require_tls=True)
            assert found == Protection(VERIFIED, by)

    def test_not_vouched(self) -> None:
        """Nobody vouches for it: it may be anybody's."""
        with pytest.raises(Refusal) as caught:
            protection(OPPORTUNISTIC, HOST, NOTHING, (), require_tls=True)
        assert (caught.value.reply.code, caught.value.reply.detail) == (550, "7.30")

    def test_smarthost(self) -> None:
        """The operator named it."""
        found = protection(REQUIRED, HOST, NOTHING, (), require_tls=True, named=True)
        assert found == Protection(VERIFIED, By.MESSAGE)


def test_waived() -> None:
    """TLS-Required: No leaves the operator's demand alone; REQUIRETLS wins over it (RFC 8689)."""
    for configured in TlsDemand:
        found = protection(configured, "mx.villain.example", ENFORCED, (GOOD,), optional=True)
        assert found == Protection(configured)
    strict = protection(NONE, HOST, ENFORCED, (), require_tls=True, optional=True)
    assert strict == Protection(VERIFIED, By.STS)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:\r\n NO\r\n", True),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),
        (b"Subject: TLS-Required: No\r\n", False),
    ],
)
def test_what_a_message_says(header: bytes, expected: bool) -> None:
    """One field, with the one value that there is (RFC 8689 §3)."""
    assert tls_optional(Header(header + b"\r\n")) is expected
