"""Commands of every state that the dialogues do not show."""

from __future__ import annotations

from mailhub.imap.settings import Settings
from tests.imap.given import Talk


def test_noop_looks() -> None:
    """NOOP looks for what other programs did to the maildir."""
    talk = Talk().select()
    before = talk.store.inbox.refreshed
    talk.say("a NOOP")
    assert talk.store.inbox.refreshed == before + 1


def test_no_identity() -> None:
    """An operator may say nothing of the server."""
    talk = Talk()
    talk.session._state.settings = Settings("hub.example", identity=())
    assert talk.say("a ID NIL") == ["* ID NIL", "a OK ID completed"]


def test_logout_leaves() -> None:
    """LOGOUT gives the mailbox back."""
    talk = Talk().select()
    assert talk.say("a LOGOUT") == ["* BYE Logging out", "a OK Logout completed"]
    assert talk.store.inbox.released == 1
    assert talk.session.closed


class TestCompress:
    def test_once(self) -> None:
        """What follows the OK is the driver's affair; then there is no more to compress."""
        talk = Talk().login()
        assert talk.say("a COMPRESS DEFLATE") == ["a OK Deflating from here on"]
        assert talk.session.wants_deflate
        assert talk.say("b NOOP") == []
        talk.session.wants_deflate = False
        assert talk.heard() == ["b OK Nothing done"]
        assert "COMPRESS" not in talk.say("c CAPABILITY")[0]
        assert talk.say("d COMPRESS DEFLATE") == ["d NO [COMPRESSIONACTIVE] Compressed already"]

    def test_octets_behind(self) -> None:
        """Nobody knows what octets behind the command are."""
        talk = Talk().login()
        assert talk.say("a COMPRESS DEFLATE\r\nb NOOP") == ["* BYE Octets behind COMPRESS"]
        assert talk.session.closed


def test_identity() -> None:
    """A stranger's ID may be as long as the RFC lets it be (RFC 2971 §3.3)."""
    pairs = " ".join(f'"{number:030}" "{"v" * 1024}"' for number in range(30))
    assert Talk().say(f"a ID ({pairs})")[-1] == "a OK ID completed"
