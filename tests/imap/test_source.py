"""What URLs name, within the account only."""

from __future__ import annotations

import pytest

from mailhub.imap import extract, source
from mailhub.imap.response import No
from mailhub.mail import header
from mailhub.ports.message import Uid
from tests.imap.given import MULTIPART, PLAIN, Talk
from tests.rig import run


async def named(talk: Talk, url: bytes) -> bytes:
    state = talk.session._state
    async with source.opened(state, url) as found:
        octets = b"".join([piece async for piece in found.pieces()])
        assert len(octets) == found.size
        return octets


class TestFound:
    @pytest.mark.parametrize("piece", [65536, 10])
    def test_sections(self, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whole messages, sections, fields and stretches of them, of small and large messages."""
        monkeypatch.setattr(source, "PIECE", piece)
        monkeypatch.setattr(extract, "PIECE", piece)
        talk = Talk().login()
        assert run(named(talk, b"/INBOX;UIDVALIDITY=7/;UID=1")) == PLAIN
        assert run(named(talk, b"imap://alice%40hub.example@hub.example/inbox/;UID=1")) == PLAIN
        assert run(named(talk, b"/INBOX/;UID=2/;SECTION=1.MIME")).endswith(b"printable\r\n\r\n")
        head = PLAIN[: header.end(PLAIN)]
        assert run(named(talk, b"/INBOX/;UID=1/;SECTION=HEADER/;PARTIAL=3.7")) == head[3:10]
        fields = b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)"
        assert run(named(talk, fields)) == b"Subject: A plain letter\r\n\r\n"
        assert run(named(talk, fields + b"/;PARTIAL=0.7")) == b"Subject"
        box = talk.store.inbox
        assert all(content.closed for content in box.contents)
        assert box.opened == box.released

    def test_selected(self) -> None:
        """Without a mailbox the selected one is meant."""
        assert run(named(Talk().select(), b";UID=2")) == MULTIPART


@pytest.mark.parametrize(
    "url",
    [
        b"/INBOX;UIDVALIDITY=8/;UID=1",
        b"/INBOX/;UID=9",
        b"/INBOX/;UID=1/;SECTION=9",
        b"/Nowhere/;UID=1",
        b"/a//b/;UID=1",
        b";UID=1",
        b"imap://elsewhere.example/INBOX/;UID=1",
        b"imap://bob@hub.example/INBOX/;UID=1",
        b"/INBOX/;UID=1;URLAUTH=anonymous",
        b'"',
    ],
)
def test_bad(url: bytes) -> None:
    """Whatever is wrong is one refusal, with the URL (RFC 4469 §4.1)."""
    with pytest.raises(No) as why:
        run(named(Talk().login(), url))
    assert why.value.code.startswith('BADURL "')


def test_gone_meanwhile() -> None:
    """A message that goes while it is looked at is not there."""
    talk = Talk().select()
    box = talk.store.inbox

    def vanish() -> None:
        box.during = lambda: None
        run(box.expunge([Uid(2)]))

    box.during = vanish
    with pytest.raises(No):
        run(named(talk, b";UID=2/;SECTION=1"))
