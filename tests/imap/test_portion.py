"""Commands that work on part of what they name (what one client sees is in two dialogues)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.append import MESSAGES
from mailhub.imap.portion import portion, too_many
from mailhub.imap.response import No, Ok
from mailhub.imap.sequence import merged
from mailhub.imap.settings import Limits
from mailhub.ports.message import Ranges
from tests.imap.fakes import FakeStore
from tests.imap.given import BARE, Talk

COUNT = 12
RANGES = st.lists(
    st.tuples(st.integers(1, COUNT), st.integers(1, COUNT)).map(lambda it: (min(it), max(it)))
).map(merged)


def talk(count: int = COUNT, gone: frozenset[int] = frozenset(), limit: int = 0) -> Talk:
    """A session on a mailbox of which some messages have gone since it was told."""
    mail = FakeStore()
    for _ in range(count):
        mail.inbox.deliver(BARE)
    made = Talk(mail, limits=Limits(messages=limit)).select()
    if gone:
        other = Talk(mail).select()
        other.say(f"a STORE {','.join(map(str, sorted(gone)))} +FLAGS.SILENT (\\Deleted)")
        other.say("b EXPUNGE")
    return made


class TestPortion:
    @given(
        RANGES, st.frozensets(st.integers(1, COUNT), max_size=COUNT - 1), st.integers(0, COUNT + 1)
    )
    def test_highest(self, ranges: Ranges, gone: frozenset[int], limit: int) -> None:
        """Of the living messages so many are left, the highest, and the lowest of them is told."""
        box = talk(gone=gone).session._state.box
        numbers = [seq for first, last in ranges for seq in range(first, last + 1)]
        living = [seq for seq in numbers if seq not in gone]
        chosen = portion(box, ranges, limit)
        found = [seq for first, last in chosen.downward() for seq in range(first, last + 1)]
        if not limit or len(living) <= limit:
            assert (chosen.ranges, chosen.lowest) == (ranges, 0)
            assert found == numbers
            return
        assert chosen.lowest == living[-limit]
        assert found == sorted(found, reverse=True)
        assert [seq for seq in reversed(found) if seq not in gone] == living[-limit:]

    def test_ended(self) -> None:
        """The code is the end's own, or goes before it where the end has another one."""
        box = talk().session._state.box
        all_, part = portion(box, ((1, 3),), 3), portion(box, ((1, 3),), 2)
        assert list(all_.ended(Ok("Done", "X"))) == [Ok("Done", "X")]
        assert list(part.ended(Ok("Done"))) == [Ok("Done in part", "MESSAGELIMIT 2 2")]
        assert list(part.ended(Ok("Done", "X"))) == [
            b"* NO [MESSAGELIMIT 2 2] That was a part of it\r\n",
            Ok("Done", "X"),
        ]

    def test_check(self) -> None:
        """What cannot be done in part is refused, and not where it is all."""
        box = talk().session._state.box
        portion(box, ((1, 3),), 3).check()
        with pytest.raises(No) as caught:
            portion(box, ((1, 4),), 3).check()
        assert caught.value.code == "MESSAGELIMIT 3 2"
        assert too_many(3).code == "MESSAGELIMIT 3"


class TestCommands:
    @pytest.mark.parametrize("command", ["FETCH 1:* UID", "STORE 1:* +FLAGS (\\Seen)"])
    def test_amid_expunges(self, command: str) -> None:
        """Where the end tells that some are gone, how far it came is told before it."""
        said = talk(5, frozenset({4}), limit=2).say(f"a {command}")
        assert said[-2:] == [
            "* NO [MESSAGELIMIT 2 3] That was a part of it",
            f"a OK [EXPUNGEISSUED] {command.partition(' ')[0].title()} completed",
        ]

    def test_all_by_parts(self) -> None:
        """Whoever goes on below the UID that was told has had each message once, downward."""
        session, top, seen = talk(11, limit=3), 2**32 - 1, list[int]()
        while top:
            said = session.say(f"a UID FETCH 1:{top} UID")
            seen += [int(line.split()[-1].strip(")")) for line in said[:-1]]
            *_, uid = said[-1].partition("]")[0].split()
            top = int(uid) - 1 if "MESSAGELIMIT" in said[-1] else 0
        assert seen[:9] == list(range(11, 2, -1))
        assert seen[9:] == [1, 2]

    def test_contents(self) -> None:
        """Contents and what the index keeps are told downward too, each with its own message."""
        mail = FakeStore()
        for number in range(4):
            mail.inbox.deliver(b"Subject: %d\r\n\r\n" % number)
        session = Talk(mail, limits=Limits(messages=3)).select()
        for item in ("BODY.PEEK[]", "BODY.PEEK[HEADER]", "ENVELOPE"):
            said = "\n".join(session.say(f"a FETCH 1:* {item}"))
            at = [said.index(f"* {number + 1} FETCH") for number in (3, 2, 1)]
            assert at == sorted(at)
            parts = said.split("* ")[1:]
            for number, part in zip((3, 2, 1), parts, strict=False):
                assert f"Subject: {number}" in part or f'"{number}"' in part

    def test_append(self) -> None:
        """Whatever was announced, no more messages than ever are taken; the client is told."""
        session = Talk(limits=Limits(saved=MESSAGES + 5)).login()
        said = session.raw(b"a APPEND INBOX" + b" {1+}\r\nx" * (MESSAGES + 1) + b"\r\n")
        assert said == b"a NO [MESSAGELIMIT %d] At most %d messages at once\r\n" % (
            MESSAGES,
            MESSAGES,
        )
