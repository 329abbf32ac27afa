"""TLS reports: where they go, and what is in them."""

from __future__ import annotations

import json

import pytest

from mailhub.mail.address import Path
from mailhub.policy.protection import BY_DANE, NOTHING, VERIFIED, Assurance, By, Protection
from mailhub.policy.route import TlsDemand
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.policy.tlsrpt import (
    DESTINATIONS,
    ByMail,
    ByPost,
    Contact,
    Fault,
    Kind,
    Session,
    destinations,
    of_certificate,
    report,
    session,
)
from mailhub.ports.resolver import Tlsa

MAIL = ByMail(Path("reports", "example.com"))
POST = ByPost("example.net", "/v1/tlsrpt")
ANY = Protection(TlsDemand.OPPORTUNISTIC)
DANE = Protection(TlsDemand.VERIFIED, By.DANE, (Tlsa(3, 1, 1, b"\xab\xcd"),))
STS = Assurance(sts=StsPolicy(Mode.TESTING, ("mx.far.example",), 86_400))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([b"v=TLSRPTv1; rua=mailto:reports@example.com"], (MAIL,)),
        ([b"v=TLSRPTv1;rua=https://example.net/v1/tlsrpt;"], (POST,)),
        (
            [b"v=TLSRPTv1; rua=mailto:reports@example.com, https://example.net/v1/tlsrpt"],
            (MAIL, POST),
        ),
        ([b"v=TLSRPTv1; rua=https://example.net/a?b=c"], (ByPost("example.net", "/a?b=c"),)),
        ([b"v=TLSRPTv1; rua=https://example.net"], (ByPost("example.net", "/"),)),
        ([b"v=spf1 -all"], ()),
        ([b"v=TLSRPTv1; rua=mailto:a@b.example", b"v=TLSRPTv1; rua=mailto:c@d.example"], ()),
        ([b"v=TLSRPTv1;"], ()),
        ([b"v=TLSRPTv1; rua=http://example.net/"], ()),
        ([b"v=TLSRPTv1; rua=https://example.net:99999/"], ()),
        ([b"v=TLSRPTv1; rua=https://example.net:8443/"], ()),
        ([b"v=TLSRPTv1; rua=mailto:postmaster"], ()),
        ([b"v=TLSRPTv1; rua=mailto:no address"], ()),
        ([b"v=TLSRPTv1; rua=\xff\xfe"], ()),
    ],
)
def test_destinations(texts: list[bytes], expected: tuple[ByMail | ByPost, ...]) -> None:
    """One record, with addresses and servers (RFC 8460 §3)."""
    assert destinations(texts) == expected


def test_few_destinations() -> None:
    """A record cannot have us send to the whole world."""
    many = ",".join(f"mailto:r{n}@example.com" for n in range(50))
    assert len(destinations([b"v=TLSRPTv1; rua=" + many.encode()])) == DESTINATIONS


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (VERIFIED, None),
        (BY_DANE, None),
        ("unverified: DANE: matches no TLSA record", Fault.TLSA),
        ("unverified: expired", Fault.EXPIRED),
        ("unverified: issued for another name", Fault.MISMATCH),
        ("unverified: issued by an unknown authority", Fault.NOT_TRUSTED),
        ("unverified: self-signed", Fault.NOT_TRUSTED),
        ("unverified: revoked", Fault.VALIDATION),
    ],
)
def test_certificates(certificate: str, fault: Fault | None) -> None:
    """Each verdict has its name in a report (RFC 8460 §4.3.1)."""
    assert of_certificate(certificate) is fault


class TestSession:
    """What is told of one connection."""

    def test_without_a_policy(self) -> None:
        """Any certificate will do; no TLS is a failure."""
        assert session(Contact("a.example", NOTHING, ANY, "unverified: expired", None)) == Session(
            "a.example"
        )
        found = session(
            Contact("a.example", NOTHING, ANY, "", Fault.NOT_OFFERED, "mx", "192.0.2.1")
        )
        assert (found.fault, found.host, found.address) == (Fault.NOT_OFFERED, "mx", "192.0.2.1")

    def test_dane(self) -> None:
        """The records are the policy, and the verdict counts."""
        good = session(Contact("a.example", NOTHING, DANE, BY_DANE, None))
        assert good == Session("a.example", Kind.TLSA, ("3 1 1 abcd",))
        bad = session(Contact("a.example", NOTHING, DANE, "unverified: DANE: no", None, "mx"))
        assert (bad.fault, bad.words) == (Fault.TLSA, "unverified: DANE: no")

    def test_sts(self) -> None:
        """Also of a policy in testing: that is what reports are for (RFC 8461 §5)."""
        bad = session(Contact("a.example", STS, ANY, "unverified: expired", None))
        assert (bad.kind, bad.fault) == (Kind.STS, Fault.EXPIRED)
        assert bad.lines == (
            "version: STSv1",
            "mode: testing",
            "mx: mx.far.example",
            "max_age: 86400",
        )


def test_report() -> None:
    """Policies with their sums, failures by kind, the day in UTC (RFC 8460 §4.4)."""
    good = session(Contact("a.example", STS, ANY, VERIFIED, None))
    bad = session(Contact("a.example", STS, ANY, "unverified: expired", None, "mx", "192.0.2.1"))
    other = session(Contact("a.example", NOTHING, ANY, "", Fault.NOT_OFFERED, "mx", "192.0.2.1"))
    found = report(
        20_000, "hub.example", "postmaster@hub.example", "id", {good: 5, bad: 2, other: 1}
    )
    assert found["date-range"] == {
        "start-datetime": "2024-10-04T00:00:00Z",
        "end-datetime": "2024-10-04T23:59:59Z",
    }
    sts, none = found["policies"]
    assert sts["policy"]["policy-type"] == "sts"
    assert sts["policy"]["mx-host"] == ["mx.far.example"]
    assert sts["summary"] == {
        "total-successful-session-count": 5,
        "total-failure-session-count": 2,
    }
    assert sts["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "failed-session-count": 2,
            "receiving-mx-hostname": "mx",
            "receiving-ip": "192.0.2.1",
            "additional-information": "unverified: expired",
        }
    ]
    assert none["policy"] == {"policy-type": "no-policy-found", "policy-domain": "a.example"}
    assert json.loads(json.dumps(found)) == found
