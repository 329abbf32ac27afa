"""What servers announce: read leniently, because they lie and err."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.smtp.features import NOTHING, parse_features


class TestParseFeatures:
    def test_usual(self) -> None:
        """Each known keyword becomes a fact; unknown ones are kept as text."""
        features = parse_features(
            [
                "mx.example.net greets you",
                "PIPELINING",
                "size 1000",
                "8BITMIME",
                "CHUNKING",
                "BINARYMIME",
                "SMTPUTF8",
                "DSN",
                "STARTTLS",
                "REQUIRETLS",
                "AUTH PLAIN login",
                "LIMITS MAILMAX=5 RCPTMAX=10 NEW=x",
                "XCLIENT NAME ADDR",
            ]
        )
        assert features.name == "mx.example.net"
        assert features.size == 1000
        assert features.auth == ("PLAIN", "LOGIN")
        assert (features.messages, features.recipients) == (5, 10)
        assert features.keywords["XCLIENT"] == "NAME ADDR"
        for name in ("pipelining", "sized", "eight_bit", "chunking", "binary", "utf8"):
            assert getattr(features, name), name
        assert features.dsn
        assert features.starttls
        assert features.require_tls

    def test_nothing(self) -> None:
        """A server that announces nothing is like one that knows HELO only."""
        assert parse_features(["mx"]).keywords == NOTHING.keywords

    def test_size(self) -> None:
        """SIZE without a number, or with 0, allows SIZE= and sets no limit (RFC 1870 §4)."""
        for line in ("SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE \u0661"):
            features = parse_features(["mx", line])
            assert features.sized
            assert features.size is None

    def test_old_auth(self) -> None:
        """AUTH= of old servers adds to AUTH, without repeating what is there."""
        features = parse_features(["mx", "AUTH=LOGIN PLAIN", "AUTH PLAIN CRAM-MD5"])
        assert features.auth == ("LOGIN", "PLAIN", "CRAM-MD5")

    def test_binary_without_chunking(self) -> None:
        """BINARYMIME is of no use without BDAT (RFC 3030 §3)."""
        assert not parse_features(["mx", "BINARYMIME"]).binary

    def test_limits(self) -> None:
        """Limits that are not positive numbers are not limits."""
        features = parse_features(["mx", "LIMITS RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX"])
        assert (features.recipients, features.messages) == (None, None)

    @given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
    def test_any_text(self, lines: list[str]) -> None:
        """Nothing that a server says is an error."""
        parse_features(lines)
