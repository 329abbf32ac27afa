"""Two sessions, deliveries, other programs and crashes, against plain lists.

Whatever happens in whatever order: a UID is one message for ever, flags and
sizes are right, nothing is lost, doubled or half there, MODSEQs only grow, and
who applies what `changes` tells sees what is there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mailhub.mail.flag import KEYWORD_SHIFT, SYSTEM_FLAGS
from mailhub.ports.message import Change, FlagAction
from mailhub.store.files import Files
from mailhub.store.limits import Limits
from mailhub.store.lines import to_crlf
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.name import base_of, flags_of, letters_of
from mailhub.store.rebuild import rebuild
from tests.rig import run
from tests.store.world import Hub, contents, summary

MAILBOXES = ("INBOX", "Sent")
FOLDERS = {"INBOX": "", "Sent": ".Sent"}
LETTERS = {"\\Seen": "S", "\\Flagged": "F", "\\Deleted": "T"}
FLAGS = st.sets(st.sampled_from(["\\Seen", "\\Flagged", "\\Deleted", "Junk", "$Important"]))
WHERE = st.sampled_from(MAILBOXES)


class Quick(Files):
    """Files that are not synced: it is not the disk that is tried here."""

    @staticmethod
    def fsync(_: object) -> None:
        return None

    @staticmethod
    def fdatasync(_: object) -> None:
        return None


@dataclass(eq=False)
class Message:
    """A message of the model."""

    content: bytes
    flags: frozenset[str]
    uid: int | None = None
    base: str = ""


@dataclass
class Client:
    """A session's picture of a mailbox, made of what it was told."""

    mailbox: SharedMailbox
    cursor: int = 0
    picture: dict[int, int] = field(default_factory=dict)

    def synchronise(self) -> None:
        changes = self.mailbox.changes(self.cursor)
        now = dict(zip(self.mailbox.uids, self.mailbox.flags, strict=True))
        if changes is None:
            self.picture = now
        for change, uid in changes or ():
            if change is Change.EXPUNGED:
                del self.picture[uid]
            elif uid in now:  # else it will be told that it is gone
                self.picture[uid] = now[uid]
            else:
                self.picture[uid] = -1
        self.cursor = self.mailbox.cursor


class Truth(RuleBasedStateMachine):
    """The store against lists."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        limits = Limits(uid_block=5, batch=4, read_batch=3, changes=6, warm_mailboxes=1, names=2)
        self.hub = Hub(self.root, files=Quick(), limits=limits, mailboxes=("Sent",))
        self.model: dict[str, list[Message]] = {name: [] for name in MAILBOXES}
        self.used: dict[tuple[str, int, int], bytes] = {}
        self.modseq: dict[str, int] = dict.fromkeys(MAILBOXES, 0)
        self.count = 0
        self.ticks = 0
        self.clients: dict[str, list[Client]] = {}
        self.enter()

    def teardown(self) -> None:
        self.look()
        self.hub.stores.close()
        shutil.rmtree(self.root)

    def enter(self) -> None:
        """Two sessions begin on each mailbox."""
        self.clients = {}
        for name in MAILBOXES:
            mailbox = self.hub.open(name)
            assert self.hub.open(name) is mailbox
            self.clients[name] = [
                Client(mailbox, mailbox.cursor, dict(zip(mailbox.uids, mailbox.flags, strict=True)))
                for _ in range(2)
            ]

    def mailbox(self, name: str) -> SharedMailbox:
        return self.clients[name][0].mailbox

    def fresh(self, end: bytes = b"\r\n") -> bytes:
        self.count += 1
        return b"Subject: %d" % self.count + end * 2 + b"x" * (self.count % 7) + end

    def place(self, name: str, *parts: str) -> Path:
        return self.hub.maildir.joinpath(FOLDERS[name], *parts)

    def later(self, name: str, *places: str) -> None:
        """Let a directory's time be another one, as it is a tick later."""
        self.ticks += 1
        for place in places:
            when = 1_000_000_000 + self.ticks
            os.utime(self.place(name, place), (when, when))

    def seen(self, name: str) -> list[Message]:
        return [message for message in self.model[name] if message.uid is not None]

    def file_of(self, name: str, message: Message) -> Path:
        (path,) = self.place(name, "cur").glob(f"{message.base}:*")
        return path

    def said(self, name: str, message: Message) -> frozenset[str]:
        """The flags that a message's name says."""
        letters = letters_of(os.fsencode(self.file_of(name, message).name))
        return self.names(self.mailbox(name), flags_of(letters))

    def chosen(self, name: str, data: st.DataObject) -> list[Message]:
        return data.draw(st.lists(st.sampled_from(self.seen(name)), unique=True, max_size=7))

    # ---- Sessions ------------------------------------------------------------------------------

    @rule(name=WHERE, flags=FLAGS, count=st.integers(1, 3))
    def append(self, name: str, flags: set[str], count: int) -> None:
        new = [Message(self.fresh(), frozenset(flags)) for _ in range(count)]
        placed = self.hub.append(
            *(message.content for message in new), name=name, flags=tuple(flags)
        )
        for message, uid in zip(new, placed.uids, strict=True):
            self.know(name, message, uid)
        self.model[name] += new

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        new = [Message(self.fresh(), frozenset()) for _ in range(count)]
        filings = [self.hub.filing(f"q{self.count}-{n}", m.content) for n, m in enumerate(new)]
        assert run(self.hub.filer.file(filings)) == [None] * count
        assert run(self.hub.filer.file(filings)) == [None] * count
        self.model["INBOX"] += new

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data(), flags=FLAGS, action=st.sampled_from(FlagAction))
    def store(self, data: st.DataObject, flags: set[str], action: FlagAction) -> None:
        self.look()
        if not any(self.seen(name) for name in MAILBOXES):
            return
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        chosen = self.chosen(name, data)
        changed = []
        for message in chosen:
            before = message.flags
            if action is FlagAction.REPLACE:
                message.flags = frozenset(flags)
            elif action is FlagAction.ADD:
                message.flags |= flags
            else:
                message.flags -= flags
            changed += [message.uid] if message.flags != before else []
        uids = [message.uid for message in chosen]
        told = run(self.mailbox(name).store(uids, action, flags)).changed  # type: ignore[arg-type]
        assert sorted(told) == sorted(changed)  # type: ignore[type-var]  # no None in it

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data())
    def expunge(self, data: st.DataObject) -> None:
        self.look()
        if not any(self.seen(name) for name in MAILBOXES):
            return
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        chosen = self.chosen(name, data)
        uids = [message.uid for message in chosen]
        assert set(run(self.mailbox(name).expunge(uids))) == set(uids)  # type: ignore[arg-type]
        for message in chosen:
            self.model[name].remove(message)

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data(), to=WHERE, move=st.booleans())
    def transfer(self, data: st.DataObject, to: str, move: bool) -> None:
        self.look()
        if not any(self.seen(name) for name in MAILBOXES):
            return
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        chosen = sorted(self.chosen(name, data), key=lambda message: message.uid or 0)
        mailbox = self.mailbox(name)
        act = mailbox.move if move else mailbox.copy
        placed = run(act([message.uid for message in chosen], to))  # type: ignore[misc]
        assert list(placed.sources) == [message.uid for message in chosen]
        for message, uid in zip(chosen, placed.uids, strict=True):
            copy = Message(message.content, message.flags)
            if move:
                self.model[name].remove(message)
            self.know(to, copy, uid)
            self.model[to].append(copy)

    # ---- Other programs ------------------------------------------------------------------------

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data(), letters=st.sets(st.sampled_from(list(LETTERS))))
    def others_flag(self, data: st.DataObject, letters: set[str]) -> None:
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        message = data.draw(st.sampled_from(self.seen(name)))
        path = self.file_of(name, message)
        base, _, old = path.name.partition(":2,")
        kept = [letter for letter in old if letter not in "SFT"]
        new = sorted([*kept, *(LETTERS[flag] for flag in letters)])
        path.rename(path.with_name(f"{base}:2,{''.join(new)}"))
        changed = {flag for flag in LETTERS if (LETTERS[flag] in old) != (flag in letters)}
        message.flags = (message.flags - changed) | (letters & changed)
        self.later(name, "cur")

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data())
    def others_remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        message = data.draw(st.sampled_from(self.seen(name)))
        self.file_of(name, message).unlink()
        self.model[name].remove(message)
        self.later(name, "cur")

    @rule(name=WHERE, place=st.sampled_from(["new", "cur"]))
    def others_add(self, name: str, place: str) -> None:
        content = self.fresh(b"\n")
        suffix = ":2,S" if place == "cur" else ""
        temporary = self.place(name, "tmp", "x")
        temporary.write_bytes(content)
        temporary.rename(self.place(name, place, f"{self.count}.M1.mutt{suffix}"))
        flags = frozenset(["\\Seen"] if suffix else [])
        self.model[name].append(Message(to_crlf(content), flags))
        self.later(name, place)

    @precondition(lambda self: any(self.seen(name) for name in MAILBOXES))
    @rule(data=st.data())
    def others_move(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in MAILBOXES if self.seen(name)]))
        message = data.draw(st.sampled_from(self.seen(name)))
        said = self.said(name, message)
        if not said <= set(LETTERS):
            return  # letters of keywords mean something else there
        target = "Sent" if name == "INBOX" else "INBOX"
        path = self.file_of(name, message)
        path.rename(self.place(target, "cur", f"m{self.count}.{path.name}"))
        self.count += 1
        self.model[name].remove(message)
        self.model[target].append(Message(message.content, said))
        for mailbox in MAILBOXES:
            self.later(mailbox, "cur")

    # ---- Crashes -------------------------------------------------------------------------------

    @rule(lost=st.booleans(), reboot=st.booleans())
    def restart(self, lost: bool, reboot: bool) -> None:
        if lost:  # what was moved here meanwhile cannot be told from what was here
            self.look()
            for name in MAILBOXES:
                for message in self.seen(name):
                    message.flags = self.said(name, message)
        if reboot:
            self.hub.boot = f"boot {self.count} {self.ticks}"
        if lost:
            self.hub.lose_index()
        else:
            self.hub.restart()
        self.enter()

    @rule()
    def follow(self) -> None:
        """Names say what the index says, and are what another program reads."""
        self.look()
        self.hub.follow()
        for name in MAILBOXES:
            for message in self.seen(name):
                assert self.said(name, message) == message.flags

    @rule()
    def rebuild(self) -> None:
        rebuild(
            str(self.hub.maildir),
            clock=self.hub.clock,
            host="hub",
            boot=self.hub.boot,
            summarise=summary,
            log=self.hub.logged.append,
            progress=lambda *_: None,
        )

    @rule(name=WHERE)
    def leave_and_return(self, name: str) -> None:
        for client in self.clients[name]:
            run(client.mailbox.release())
        del self.clients[name]
        mailbox = self.hub.open(name)
        assert self.hub.open(name) is mailbox
        self.clients[name] = [
            Client(mailbox, mailbox.cursor, dict(zip(mailbox.uids, mailbox.flags, strict=True)))
            for _ in range(2)
        ]

    # ---- What must be true ---------------------------------------------------------------------

    def know(self, name: str, message: Message, uid: int) -> None:
        key = name, int(self.mailbox(name).uid_validity), uid
        assert key not in self.used, "a UID was used twice"
        self.used[key] = message.content
        message.uid = uid
        (row,) = self.mailbox(name).box.rows([uid])
        message.base = os.fsdecode(base_of(row.name))

    @rule()
    def look(self) -> None:
        for name in MAILBOXES:
            self.check(name)

    def check(self, name: str) -> None:
        mailbox, model = self.mailbox(name), self.model[name]
        run(mailbox.refresh())
        found = run(contents(mailbox))
        known = {message.uid: message for message in model if message.uid is not None}
        for position, uid in enumerate(mailbox.uids):
            content = found[position]
            if uid not in known:
                match = [m for m in model if m.uid is None and m.content == content]
                flags = self.names(mailbox, mailbox.flags[position])
                match.sort(key=lambda message: message.flags != flags)
                assert match, f"{name}: {uid} is {content!r}, which is not there"
                self.know(name, match[0], uid)
                known[uid] = match[0]
            message = known[uid]
            assert content == message.content
            assert mailbox.sizes[position] == len(content)
            assert self.names(mailbox, mailbox.flags[position]) == message.flags
        assert len(mailbox.uids) == len(model) == len(known)
        assert list(mailbox.uids) == sorted(set(mailbox.uids))
        assert mailbox.uid_next > max(mailbox.uids, default=0)
        assert mailbox.highest_modseq >= max([*mailbox.modseqs, self.modseq[name]])
        self.modseq[name] = int(mailbox.highest_modseq)
        for client in self.clients[name]:
            client.synchronise()
            assert client.picture == dict(zip(mailbox.uids, mailbox.flags, strict=True))
        names = os.listdir(self.place(name, "cur"))
        assert len(names) == len(model)
        assert os.listdir(self.place(name, "tmp")) == []

    @staticmethod
    def names(mailbox: SharedMailbox, bits: int) -> frozenset[str]:
        system = {name for name, bit in SYSTEM_FLAGS.items() if bits & bit}
        keywords = {
            name for n, name in enumerate(mailbox.keywords) if bits >> (KEYWORD_SHIFT + n) & 1
        }
        return frozenset(system | keywords)


EXAMPLES = int(os.environ.get("MAILHUB_EXAMPLES", "8"))

TestTruth: Any = Truth.TestCase
TestTruth.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
