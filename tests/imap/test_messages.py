"""STORE, COPY, MOVE and SEARCH amid other sessions (what one alone sees is in the dialogues)."""

from __future__ import annotations

import pytest

from mailhub.imap.storing import STORE_ROWS
from mailhub.mail.flag import KEYWORD_LIMIT
from mailhub.ports.accounts import Quota
from mailhub.ports.message import Uid
from tests.imap.fakes import FakeStore
from tests.imap.given import BARE, PLAIN, Talk, store
from tests.rig import run


def two() -> tuple[Talk, Talk]:
    mail = store()
    return Talk(mail).select(), Talk(mail).select()


class TestExpunged:
    """Messages that another session has expunged, and the client does not know (RFC 2180)."""

    def test_store(self) -> None:
        """STORE changes the rest and says that it was not all."""
        one, other = two()
        one.say("x EXPUNGE")
        assert other.say("a STORE 2:3 +FLAGS (\\Draft)") == [
            "* 2 FETCH (FLAGS (\\Seen \\Draft))",
            "a OK [EXPUNGEISSUED] Store completed",
        ]
        assert other.say("b STORE 2:3 -FLAGS.SILENT (\\Draft)") == [
            "b OK [EXPUNGEISSUED] Store completed"
        ]
        assert other.say("c STORE 3 +FLAGS (\\Draft)")[-1].startswith("c OK [EXPUNGEISSUED]")

    def test_copy(self) -> None:
        """COPY and MOVE are all or nothing."""
        one, other = two()
        one.say("x EXPUNGE")
        assert other.say("a COPY 1:3 Work")[-1].startswith("a NO [EXPUNGEISSUED]")
        assert not other.store.boxes["Work"].octets

    def test_by_uid(self) -> None:
        """By UID what is gone is passed over, and then told."""
        one, other = two()
        one.say("x EXPUNGE")
        assert other.say("a UID COPY 2:3 Work") == [
            "* 3 EXPUNGE",
            "a OK [COPYUID 8 2 1] Copy completed",
        ]

    def test_search(self) -> None:
        """SEARCH does not find them, and new mail it does."""
        one, other = two()
        one.say("x EXPUNGE")
        other.store.inbox.deliver(PLAIN)
        assert other.say("a SEARCH ALL") == [
            "* 4 EXISTS",
            "* 1 RECENT",
            "* SEARCH 1 2 4",
            "a OK Search completed",
        ]


class TestStore:
    def test_batches(self) -> None:
        """Many messages are changed in several steps."""
        mail = FakeStore()
        for _ in range(STORE_ROWS + 5):
            mail.inbox.deliver(BARE)
        talk = Talk(mail).select()
        assert len(talk.say("a STORE 1:* +FLAGS (\\Seen)")) == STORE_ROWS + 6
        assert talk.say("b UID STORE 1:* -FLAGS.SILENT (\\Seen kw)")[-1] == "b OK Store completed"

    def test_no_keyword_left(self) -> None:
        """A keyword too many is NO LIMIT."""
        talk = Talk().select()
        talk.store.inbox.keywords += [f"k{place}" for place in range(KEYWORD_LIMIT)]
        assert "a NO [LIMIT] No keyword is left" in talk.say("a STORE 1 +FLAGS (more)")

    def test_others_hear(self) -> None:
        """Another session hears of it, in its own time."""
        one, other = two()
        one.say("a STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert other.say("b NOOP")[0] == "* 1 FETCH (UID 1 FLAGS (\\Flagged))"

    @pytest.mark.parametrize(
        "command", ["UID FETCH 4 UID", "UID STORE 4 FLAGS ()", "UID COPY 4 Work"]
    )
    def test_new_mail_by_uid(self, command: str) -> None:
        """A message is told of before a command by UID may touch it."""
        talk = Talk().select()
        talk.store.inbox.deliver(PLAIN)
        assert talk.say(f"a {command}")[0] == "* 4 EXISTS"


class TestCopy:
    def test_quota(self) -> None:
        """Over quota nothing is copied."""
        mail = store()
        mail.quota = Quota(600)
        assert Talk(mail).select().say("a COPY 1:3 Work") == ["a NO [OVERQUOTA] Over quota"]

    def test_gone_at_once(self) -> None:
        """Where all went while we asked, there is nothing to tell of."""
        talk = Talk().select()
        talk.store.inbox.during = lambda: run(_gone(talk.store))
        assert talk.say("a COPY 1 Work") == ["* 1 EXPUNGE", "a OK Copy completed"]


async def _gone(mail: FakeStore) -> None:
    mail.inbox.during = lambda: None
    await mail.inbox.expunge([Uid(1)])
