"""Several clients on one mailbox: each one's picture, made of untagged responses, stays true.

A client here is the plainest thing that works: a list of what it was told. It
knows nothing of UIDs but what FETCH said, shifts its list at EXPUNGE, grows it
at EXISTS. Whatever several sessions, deliveries and other programs do, in any
order and amid each other's commands, no response may contradict the list, and
after NOOP it must be the mailbox.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.imap.view import FLAG_PENDING_LIMIT
from mailhub.ports.message import FlagAction, Uid
from tests.imap.fakes import FakeMailbox, FakeStore
from tests.imap.given import BARE, Talk
from tests.rig import run

_FETCH = re.compile(r"\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\))?.*")
_NUMBERED = ("FETCH", "STORE", "SEARCH")
_FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "kw1", "kw2")


class Entry:
    """What a client knows of one message."""

    def __init__(self) -> None:
        self.uid: int | None = None
        self.flags: frozenset[str] | None = None


class Picture:
    """A client with its session."""

    def __init__(self, store: FakeStore) -> None:
        self.talk = Talk(store)
        self.entries: list[Entry] = []
        self.command = ""
        self.keywords: set[str] = set()
        self.talk.login()
        self.do("SELECT INBOX")
        self.do("UID FETCH 1:* FLAGS")

    def do(self, command: str) -> str:
        """Carry out one command; the tagged response."""
        return self.hear(command, self.talk.raw(f"t {command}\r\n".encode()))

    def hear(self, command: str, octets: bytes) -> str:
        """Believe what was said in answer to a command."""
        self.command = command
        lines = octets.decode().split("\r\n")
        for line in lines:
            self._believe(line)
        return next((line for line in lines if line.startswith("t ")), "")

    def _believe(self, line: str) -> None:
        if line.startswith("* FLAGS"):
            self.keywords = set(line[9:-1].split())
        elif line.endswith("EXISTS"):
            count = int(line.split()[1])
            assert count >= len(self.entries), "messages vanished without EXPUNGE"
            self.entries += [Entry() for _ in range(count - len(self.entries))]
        elif line.endswith("EXPUNGE"):
            assert not self.command.startswith(_NUMBERED), f"EXPUNGE amid {self.command}"
            del self.entries[int(line.split()[1]) - 1]
        elif (found := _FETCH.fullmatch(line)) is not None:
            assert int(found[1]) <= len(self.entries), "a message the client has not heard of"
            entry = self.entries[int(found[1]) - 1]
            if found[2]:
                assert entry.uid in {None, int(found[2])}, "a number that means two messages"
                entry.uid = int(found[2])
            if found[3] is not None:
                flags = frozenset(found[3].split()) - {"\\Recent"}
                assert flags <= self.keywords, "a keyword that FLAGS has not introduced"
                entry.flags = flags

    def silently(self, first: int, last: int, sign: str, flag: str) -> None:
        """STORE .SILENT: the client changes its picture by itself."""
        command = f"STORE {first}:{last} {sign}FLAGS.SILENT ({flag})"
        before = [entry.flags for entry in self.entries[first - 1 : last]]
        octets = self.talk.raw(f"t {command}\r\n".encode())
        for entry, flags in zip(self.entries[first - 1 : last], before, strict=True):
            if sign == "":
                entry.flags = frozenset({flag})
            elif flags is not None:
                entry.flags = flags | {flag} if sign == "+" else flags - {flag}
        self.hear(command, octets)

    def check(self, box: FakeMailbox) -> None:
        """After NOOP the picture is the mailbox."""
        self.do("NOOP")
        assert len(self.entries) == len(box.uids)
        self.do("UID FETCH 1:* UID")
        assert [entry.uid for entry in self.entries] == list(box.uids)
        for entry, bits in zip(self.entries, box.flags, strict=True):
            if entry.flags is not None:
                assert entry.flags == frozenset(box.names_of(bits)), entry.uid


def _number(picture: Picture, drawn: int) -> int:
    return drawn % len(picture.entries) + 1


def _others(box: FakeMailbox, kind: int, drawn: int) -> None:
    """What somebody else does to the mailbox, amid whatever is going on."""
    if kind == 0 or not box.uids:
        box.deliver(BARE)
    elif kind == 1:
        run(box.expunge([Uid(box.uids[drawn % len(box.uids)])]))
    else:
        uid = Uid(box.uids[drawn % len(box.uids)])
        action = (FlagAction.ADD, FlagAction.REMOVE, FlagAction.REPLACE)[kind % 3]
        run(box.store([uid], action, [_FLAGS[drawn % len(_FLAGS)]]))


def _act(picture: Picture, kind: int, a: int, b: int) -> None:
    """One client does something."""
    if not picture.entries:
        picture.do("NOOP")
        return
    first, last = sorted((_number(picture, a), _number(picture, b)))
    flag = _FLAGS[b % len(_FLAGS)]
    sign = ("", "+", "-")[a % 3]
    commands: list[Callable[[], object]] = [
        lambda: picture.do("NOOP"),
        lambda: picture.do(f"FETCH {first}:{last} (UID FLAGS)"),
        lambda: picture.do(f"UID FETCH {first}:{last} (FLAGS)"),
        lambda: picture.do(f"FETCH {first} (UID BODY[])"),
        lambda: picture.do(f"STORE {first}:{last} {sign}FLAGS ({flag})"),
        lambda: picture.silently(first, last, sign, flag),
        lambda: picture.do(f"UID STORE {a % 9} +FLAGS (\\Deleted)"),
        lambda: picture.do("EXPUNGE"),
        lambda: picture.do(f"COPY {first} INBOX"),
        lambda: picture.do(f"MOVE {last} INBOX"),
        lambda: picture.do("SEARCH SEEN"),
        lambda: picture.do("UID SEARCH ALL"),
        lambda: picture.hear("IDLE", picture.talk.raw(b"i IDLE\r\nDONE\r\n")),
        lambda: picture.do("CHECK"),
        lambda: picture.do("APPEND INBOX {1+}\r\nx"),
        lambda: picture.do(f"UID EXPUNGE {a}:{a + b}"),
        lambda: picture.do("STATUS INBOX (MESSAGES)"),
    ]
    commands[kind % len(commands)]()


STEP = st.tuples(
    st.integers(0, 2), st.integers(0, 16), st.integers(0, 12), st.integers(0, 12)
)  # who, what, and two numbers
DOING = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=3)


class TestPictures:
    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 6), st.lists(st.tuples(STEP, DOING), max_size=25))
    def test_interleaved(
        self, begun: int, steps: list[tuple[tuple[int, ...], list[tuple[int, int]]]]
    ) -> None:
        """Random commands of three clients, each interrupted by what others do."""
        store = FakeStore()
        for _ in range(begun):
            store.inbox.deliver(BARE)
        pictures = [Picture(store) for _ in range(3)]
        for (who, kind, a, b), doings in steps:
            queue = list(doings)

            def during(queue: list[tuple[int, int]] = queue) -> None:
                if queue:
                    kind, drawn = queue.pop()
                    _others(store.inbox, kind, drawn)

            store.inbox.during = during
            _act(pictures[who], kind, a, b)
        store.inbox.during = lambda: None
        for picture in pictures:
            picture.check(store.inbox)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=30))
    def test_between_pieces(self, doings: list[tuple[int, int]]) -> None:
        """A long FETCH whose client reads slowly: much happens between its pieces."""
        store = FakeStore()
        for _ in range(30):
            store.inbox.deliver(BARE + b"x" * 5000)
        picture = Picture(store)
        session = picture.talk.session
        session.feed(b"t FETCH 1:* (UID FLAGS BODY.PEEK[])\r\n")
        said: list[bytes] = []
        answers = session.respond()

        async def one(answers: AsyncGenerator[bytes, None]) -> bytes | None:
            return await anext(answers, None)

        while (piece := run(one(answers))) is not None:
            said.append(piece)
            if doings:
                _others(store.inbox, *doings.pop())
        text = b"".join(said).replace(b"x" * 5000, b"")
        text = re.sub(rb" BODY\[\] \{\d+\}\r\nSubject: short\r\n\r\n\.", b"", text)
        picture.hear("FETCH", text)
        picture.check(store.inbox)

    def test_many_changes(self) -> None:
        """Flag changes too many to remember one by one are told all the same, and only those."""
        store = FakeStore()
        count = FLAG_PENDING_LIMIT + 500
        for _ in range(count):
            store.inbox.deliver(BARE)
        one, two = Picture(store), Picture(store)
        one.do(f"STORE 1:{count - 5} +FLAGS (\\Flagged)")
        one.do("STORE 3 +FLAGS (kw1)")
        heard = two.talk.raw(b"t NOOP\r\n")
        assert heard.count(b"FETCH") == count - 5
        two.hear("NOOP", heard)
        two.check(store.inbox)

    def test_many_expunges(self) -> None:
        """Thousands of expunges, told from the top in several pieces."""
        store = FakeStore()
        for place in range(5000):
            store.inbox.deliver(BARE, 8 if place % 5 else 0)
        one, two = Picture(store), Picture(store)
        one.do("EXPUNGE")
        assert two.do("FETCH 1:2 UID").startswith("t OK [EXPUNGEISSUED]")
        two.check(store.inbox)
        assert len(two.entries) == 1000

    def test_silent_amid_others(self) -> None:
        """.SILENT hides what the client asked for, never what another changed meanwhile."""
        store = FakeStore()
        for _ in range(3):
            store.inbox.deliver(BARE)
        picture = Picture(store)

        def meddle() -> None:
            store.inbox.during = lambda: None
            run(store.inbox.store([Uid(2)], FlagAction.ADD, ["\\Draft"]))

        store.inbox.during = meddle
        heard = picture.talk.raw(b"t STORE 1:3 +FLAGS.SILENT (\\Seen)\r\n")
        assert heard.count(b"FETCH") == 1
        assert b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Draft" in heard
