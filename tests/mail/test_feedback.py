"""Reports of complaints."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.feedback import announced, feedback
from mailhub.mail.header import Header, index
from mailhub.policy.returnpath import named

CORPUS = Path(__file__).parents[1] / "corpus" / "feedback"
SIGNED = "bounce+g00k3m9x7c4e2dq8w2h5t7n3y40@hub.example"


def read(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


class TestReports:
    @pytest.mark.parametrize(
        ("name", "kind", "reporter"),
        [
            ("yahoo", "abuse", "arf.mail.yahoo.example Yahoo!-Mail-Feedback"),
            ("return-path", "abuse", "far.example ReturnPathFBL"),
            ("not-spam", "not-spam", "far.example SomeGenerator"),
            ("untyped", "abuse", "far.example Old"),
            ("unsigned", "fraud", "far.example SomeGenerator"),
        ],
    )
    def test_kinds(self, name: str, kind: str, reporter: str) -> None:
        """What is reported, and by whom."""
        found = feedback(read(name))
        assert found is not None
        assert (found.kind, found.reporter) == (kind, reporter)

    @pytest.mark.parametrize("name", ["yahoo", "return-path", "not-spam", "untyped"])
    def test_traces(self, name: str) -> None:
        """The return path is found in a field of the report, or in the message's own header."""
        found = feedback(read(name))
        assert found is not None
        assert [str(path) for path in named(found.traces)] == [SIGNED]

    def test_without_a_trace(self) -> None:
        """Addresses that are not signed are nobody's return path."""
        found = feedback(read("unsigned"))
        assert found is not None
        assert named(found.traces) == []

    def test_no_report(self) -> None:
        """Other mail is none, whatever it says."""
        assert feedback(b"Subject: complaint\r\n\r\nFeedback-Type: abuse\r\n") is None


class TestAnnounced:
    def test_by_its_header(self) -> None:
        """The header section tells, so that other mail costs nothing."""
        for path in CORPUS.glob("*.eml"):
            assert announced(index(Header.of(read(path.stem)).block))
        assert not announced({})
        assert not announced({b"content-type": [b" multipart/report; report-type=delivery-status"]})
        assert not announced({b"content-type": [b" text/plain; report-type=feedback-report"]})


class TestStrangers:
    @given(st.binary(max_size=200), st.integers())
    def test_any_octets(self, octets: bytes, at: int) -> None:
        """Nothing raises, whatever comes."""
        content = read("yahoo")
        place = at % len(content)
        feedback(octets)
        feedback(content[:place] + octets + content[place:])
