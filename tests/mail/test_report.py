"""Reports, taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.report import GROUPS_LIMIT, report


def written(machine: str, returned: str = "text/rfc822-headers\r\n\r\nSubject: x\r\n") -> bytes:
    text = "Content-Type: text/plain; charset=utf-8\r\n\r\nSorry.\r\n"
    parts = (text, f"Content-Type: {machine}", f"Content-Type: {returned}")
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    kind = "multipart/report; report-type=delivery-status; boundary=b"
    return f"From: <mta@far.example>\r\nContent-Type: {kind}\r\n\r\n{body}".encode()


class TestParts:
    def test_three(self) -> None:
        """A report has a text, fields in groups, and the header of what it is about."""
        found = report(written("message/delivery-status\r\n\r\nA: 1\r\n\r\nB: 2\r\n 3\r\nb: 4\r\n"))
        assert found.kind == "delivery-status"
        assert found.text == "Sorry.\n" or found.text == "Sorry."
        assert found.groups == ({"a": "1"}, {"b": "2 3"})
        assert found.returned.strip() == b"Subject: x"
        assert found.value(b"from") == "<mta@far.example>"

    def test_whole_message(self) -> None:
        """A message that is returned whole keeps its own parts: they are not the report's."""
        inner = "message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<p>Inner\r\n"
        found = report(written("message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n", inner))
        assert found.kind == "feedback-report"
        assert found.returned.startswith(b"Content-Type: text/html")
        assert "Inner" not in found.text

    def test_encoded(self) -> None:
        """Parts may be encoded (RFC 6533 §4 lets them be, and others do it all the same)."""
        machine = (
            "message/global-delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            "QWN0aW9uOiBmYWlsZWQNClN0YXR1czogNS4xLjENCg==\r\n"
        )
        assert report(written(machine)).groups == ({"action": "failed", "status": "5.1.1"},)

    def test_html(self) -> None:
        """Where the only text is HTML, that is read."""
        content = b"Content-Type: text/html\r\n\r\n<p>Not <b>here</b></p>"
        assert "Not here" in report(content).text

    def test_plain_message(self) -> None:
        """A message that is no report has its text, and nothing else."""
        found = report(b"Subject: x\r\n\r\nHello\r\n")
        assert (found.kind, found.groups, found.returned) == ("", (), b"")
        assert found.text.strip() == "Hello"


class TestStrangers:
    @given(st.binary(max_size=300))
    def test_any_octets(self, octets: bytes) -> None:
        """Nothing raises, whatever comes."""
        report(octets)
        report(written("message/delivery-status\r\n\r\n").replace(b"Sorry.", octets))

    def test_groups_are_bounded(self) -> None:
        """However many groups there are, so many are read."""
        many = "A: 1\r\n\r\n" * (GROUPS_LIMIT + 5)
        found = report(written(f"message/delivery-status\r\n\r\n{many}"))
        assert len(found.groups) == GROUPS_LIMIT
