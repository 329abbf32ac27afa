"""The envelope as a value."""

from __future__ import annotations

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body, Envelope, Notify, Recipient


def test_to_adds_in_order() -> None:
    """Recipients keep the order in which RCPT gave them, and the original stays as it was."""
    empty = Envelope()
    one = empty.to(Recipient(Path("a", "x.example"), Notify.FAILURE | Notify.DELAY))
    two = one.to(Recipient(Path("b", "x.example")))
    assert [recipient.path.local for recipient in two.recipients] == ["a", "b"]
    assert empty.recipients == ()


def test_defaults() -> None:
    """An envelope without options is what plain RFC 5321 means."""
    envelope = Envelope()
    assert envelope.reverse_path is NULL
    assert envelope.body is Body.SEVEN_BIT
    assert not envelope.utf8
    assert not envelope.require_tls
