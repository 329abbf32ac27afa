"""Several clients on one mailbox over the real store, against plain lists.

Each client (`tests.imap.picture`) believes what it is told. Clients, deliveries,
other programs, crashes and returns by QRESYNC take turns, first command by
command, where a model says what must be true; then step by step, each disk job
of each session in any order.  After each answer a client's picture must be the
server's; UIDs are never used twice, and MODSEQs only grow.

`MAILHUB_EXAMPLES` sets how many histories are tried.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mailhub.imap.session import Session
from mailhub.imap.settings import Settings
from mailhub.mail.flag import KEYWORD_SHIFT, SYSTEM_FLAGS
from mailhub.ports.conversation import Client
from mailhub.store.limits import Limits
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.reach import SharedReaches
from mailhub.store.rebuild import rebuild
from mailhub.store.sharing import Sharing
from tests.imap.fakes import ALICE, FakeLogins, FakeMechanisms
from tests.imap.picture import NUMBERED, Entry, Picture, numbers
from tests.rig import hear, run
from tests.store.test_reach import People
from tests.store.test_truth import Quick
from tests.store.world import Hub, StepDisk, Task, summary

LIMITS = Limits(
    uid_block=5, modseq_block=7, batch=4, read_batch=3, changes=6, warm_mailboxes=1, expunged=3
)
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Draft", "kw1", "kw2")
KINDS = ("plain", "condstore", "qresync", "qresync", "rev2", "uidonly", "notify")
"""What the clients are; two of them come back by QRESYNC."""
BY_UID = frozenset({"uidonly", "notify"})
"""Those that name messages by UID alone: they have no numbers, or these change at any time."""
OPENING = {
    "qresync": "ENABLE QRESYNC",
    "rev2": "ENABLE CONDSTORE IMAP4rev2",
    "uidonly": "ENABLE UIDONLY",
    "notify": "NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))",
}
EXAMPLES = int(os.environ.get("MAILHUB_EXAMPLES", "6"))
SOAK = 40
"""Times as many histories under ``make soak``."""
NUMBERS = st.integers(0, 30)
_SILENT = re.compile(r"(UID )?STORE (\S+)(?: \(.*?\))? ([+-]?)FLAGS.SILENT \((.*)\)")


class Peer:
    """A client with its session, and what it keeps between two connections."""

    def __init__(self, hub: Hub, kind: str) -> None:
        self.kind = kind
        self.hub = hub
        self.picture = Picture()
        self.cache: dict[int, Entry] = {}
        self.idle = False
        self.woken = False
        self.session: Session | None = None

    # ---- Connections ----

    def begin(self) -> Session:
        """A new connection, which says nothing yet."""
        session = Session(
            Client("127.0.0.1", 143),
            Settings("hub.example"),
            FakeMechanisms(),
            FakeLogins(),
            reaches(self.hub),
        )
        session.wake = self._wake
        self.session, self.idle = session, False
        vanishing, uid_only = self.kind in {"qresync", "uidonly"}, self.kind == "uidonly"
        old, self.picture = self.picture, Picture(vanishing=vanishing, uid_only=uid_only)
        self.picture.uid_validity, self.picture.modseq = old.uid_validity, old.modseq
        return session

    def opening(self) -> list[str]:
        """What it says first."""
        more = [OPENING[self.kind]] if self.kind in OPENING else []
        return ["LOGIN alice secret", *more, self.select()]

    def select(self) -> str:
        """Its SELECT."""
        if self.kind == "condstore":
            return "SELECT INBOX (CONDSTORE)"
        if self.kind != "qresync" or not self.picture.uid_validity or not self.picture.modseq:
            return "SELECT INBOX"
        known, modseq = sorted(self.cache), self.picture.modseq
        if not known:
            return f"SELECT INBOX (QRESYNC ({self.picture.uid_validity} {modseq}))"
        uids = ",".join(map(str, known))
        match = f"({len(known)} {known[-1]})" if len(known) % 2 else ""
        known_by = f"{self.picture.uid_validity} {modseq} {uids} {match}".rstrip()
        return f"SELECT INBOX (QRESYNC ({known_by}))"

    def remember(self) -> None:
        """Keep what is useful, for the connection is lost."""
        self.idle = False
        self.cache = {
            entry.uid: entry
            for entry in self.picture.entries
            if entry.uid is not None and entry.flags is not None
        }
        if any(entry.uid is None or entry.flags is None for entry in self.picture.entries):
            self.picture.modseq = 0  # it does not know all up to there

    def expect(self, octets: bytes) -> None:
        """Before it believes the answer to a QRESYNC: what that says of the messages it knows."""
        text = octets.decode()
        validity = re.search(r"UIDVALIDITY (\d+)", text)
        if validity is None or int(validity[1]) != self.picture.uid_validity:
            self.cache = {}
        gone: set[int] = set()
        for found in re.findall(r"\* VANISHED \(EARLIER\) (\S+)", text):
            gone.update(numbers(found))
        self.picture.expected = [it for uid, it in sorted(self.cache.items()) if uid not in gone]

    def _wake(self) -> None:
        self.woken = True

    @property
    def listens(self) -> bool:
        """Whether it hears of changes unasked."""
        there = self.session is not None and not self.session.closed
        return self.idle or (self.kind == "notify" and there)

    # ---- Commands ----

    def command(self, what: int, a: int, b: int, c: int) -> str:
        """One of many, with numbers it may use."""
        count = len(self.picture.entries)
        if not count:
            return ("NOOP", "EXPUNGE", "UID SEARCH ALL", "CHECK")[what % 4]
        first, last = sorted((a % count + 1, b % count + 1))
        uids = sorted(entry.uid for entry in self.picture.entries if entry.uid is not None)
        low, high = (uids[a % len(uids)], uids[b % len(uids)]) if uids else (1, 9)
        sign, flag = ("", "+", "-")[c % 3], FLAGS[b % len(FLAGS)]
        silent = ".SILENT" if c % 2 else ""
        modseq = max(entry.modseq for entry in self.picture.entries) - a % 3
        since = f" (UNCHANGEDSINCE {max(modseq, 0)})" if self.kind != "plain" else ""
        earlier = f" (CHANGEDSINCE {self.picture.modseq} VANISHED)" * (self.kind == "qresync")
        target = ("Sent", "INBOX")[c % 2]
        if self.kind in BY_UID:
            return (
                "NOOP",
                f"UID FETCH {low}:{high} (FLAGS)",
                f"UID FETCH {low}:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
                f"UID STORE {low}:{high} {sign}FLAGS{silent} ({flag})",
                f"UID STORE {low}:{high}{since} {sign}FLAGS{silent} ({flag})",
                f"UID STORE {low} +FLAGS.SILENT (\\Deleted)",
                "EXPUNGE",
                f"UID EXPUNGE {low}:{high}",
                f"UID MOVE {low}:{high} {target}",
                f"UID COPY {low}:{high} INBOX",
                "UID SEARCH ALL",
            )[what % 11]
        return (
            "NOOP",
            f"FETCH {first}:{last} (UID FLAGS)",
            f"UID FETCH {low}:{high} (FLAGS)",
            f"UID FETCH 1:* (FLAGS){earlier}",
            f"FETCH {first}:{last} (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
            f"STORE {first}:{last} {sign}FLAGS{silent} ({flag})",
            f"STORE {first}:{last}{since} {sign}FLAGS{silent} ({flag})",
            f"UID STORE {low}:{high}{since} {sign}FLAGS{silent} ({flag})",
            f"STORE {first} +FLAGS.SILENT (\\Deleted)",
            "EXPUNGE",
            f"UID EXPUNGE {low}:{high}",
            f"MOVE {first} {target}",
            f"UID MOVE {low}:{high} {target}",
            f"COPY {first}:{last} INBOX",
            "SEARCH UNDELETED",
            "UID SEARCH ALL",
            "CHECK",
            f"FETCH {first} (UID BODY[HEADER.FIELDS (SUBJECT)])",
            "IDLE",
        )[what % 19]

    def foresee(self, command: str) -> None:
        """Change the picture as .SILENT obliges it to."""
        found = re.fullmatch(
            r"(UID )?STORE (\S+)(?: \(.*?\))? ([+-]?)FLAGS.SILENT \((.*)\)", command
        )
        if found is None:
            return
        named = set(numbers(found[2]))
        flag = frozenset({found[4]})
        for number, entry in enumerate(self.picture.entries, 1):
            if entry.flags is None or (entry.uid if found[1] else number) not in named:
                continue
            if not found[3]:
                entry.flags = flag
            else:
                entry.flags = entry.flags | flag if found[3] == "+" else entry.flags - flag

    def check(self, mailbox: SharedMailbox) -> None:
        """The picture is the mailbox."""
        entries = self.picture.entries
        assert len(entries) == len(mailbox.uids), f"{self.kind}: {self.picture.command}"
        if self.picture.uid_only:
            # Without numbers it cannot tell where one is whose UID it has just heard
            known = {entry.uid: entry for entry in entries if entry.uid is not None}
            assert known.keys() <= set(mailbox.uids), f"{self.kind}: {self.picture.command}"
            entries = [known.get(uid) or Entry() for uid in mailbox.uids]
        for entry, uid, bits in zip(entries, mailbox.uids, mailbox.flags, strict=True):
            assert entry.uid in {None, uid}, f"{self.kind}: {self.picture.command}"
            if entry.flags is not None:
                assert entry.flags == named(mailbox, bits), (
                    f"{self.kind} {uid}: {self.picture.command}"
                )


def named(mailbox: SharedMailbox, bits: int) -> frozenset[str]:
    """Flags by name."""
    system = {name for name, bit in SYSTEM_FLAGS.items() if bits & bit}
    keywords = {it for n, it in enumerate(mailbox.keywords) if bits >> (KEYWORD_SHIFT + n) & 1}
    return frozenset(system | keywords)


def reaches(hub: Hub) -> SharedReaches:
    """What sessions find their mailboxes by; nothing is shared here."""
    people = People()
    people.accounts = {ALICE.path.key: ALICE}
    return SharedReaches(Sharing(hub.stores, people, os.fsencode(hub.root), "", os.urandom))


@dataclass(eq=False)
class Message:
    """A message of the model."""

    subject: str
    flags: frozenset[str] = frozenset()
    uid: int = 0
    modseq: int = 0


class World(RuleBasedStateMachine):
    """A hub with one account, and clients on its INBOX."""

    def __init__(self, disk: StepDisk | None = None) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.hub = Hub(self.root, disk=disk, files=Quick(), limits=LIMITS, mailboxes=("Sent",))
        self.hub.account = ALICE
        self.hub.maildir = self.root / "alice"
        self.count = self.ticks = 0
        self.used: dict[tuple[int, int], str] = {}
        self.peers = [Peer(self.hub, kind) for kind in KINDS]

    def subject(self) -> str:
        self.count += 1
        return f"s{self.count}"

    def later(self) -> None:
        """Let directories' times be others, as they are a tick later."""
        self.ticks += 1
        for place in ("new", "cur"):
            os.utime(self.hub.maildir / place, (10**9 + self.ticks,) * 2)

    def content(self, subject: str) -> bytes:
        return f"Subject: {subject}\r\n\r\nx\r\n".encode()

    def foreign(self, place: str) -> str:
        """Another program puts a message into the maildir."""
        subject = self.subject()
        suffix = ":2,S" if place == "cur" else ""
        content = self.content(subject).replace(b"\r\n", b"\n")
        self.hub.drop(f"{self.count}.M1.mutt{suffix}", content, place)
        self.later()
        return subject

    def chosen_file(self, number: int) -> Path | None:
        files = sorted((self.hub.maildir / "cur").iterdir())
        return files[number % len(files)] if files else None

    def remake(self) -> None:
        """``mailhub index rebuild`` beside the hub."""
        rebuild(
            str(self.hub.maildir),
            clock=self.hub.clock,
            host="hub",
            boot=self.hub.boot,
            summarise=summary,
            log=self.hub.logged.append,
            progress=lambda *_: None,
        )


class Commands(World):
    """Command by command: what must be true is known each time."""

    def __init__(self) -> None:
        super().__init__()
        self.model: list[Message] = []
        self.highest = 0
        self.anew = True  # MODSEQs may all be others now
        self.inbox = self.hub.open()
        for peer in self.peers:
            self.connect(peer)

    def teardown(self) -> None:
        for peer in self.peers:
            self.end_idle(peer)
            self.say(peer, "NOOP")
        self.hub.stores.close()
        shutil.rmtree(self.root)

    # ---- Clients ----

    def connect(self, peer: Peer) -> None:
        session = peer.begin()
        run(session.greet())
        *before, select = peer.opening()
        for command in before:
            self.raw(peer, command)
        octets = self.raw(peer, select)
        if "QRESYNC" in select:
            peer.expect(octets)
        peer.picture.hear(select, octets)
        self.learn(peer)
        peer.check(self.inbox)

    def raw(self, peer: Peer, command: str) -> bytes:
        assert peer.session is not None
        peer.session.feed(f"t {command}\r\n".encode())
        return run(hear(peer.session.respond()))

    def say(self, peer: Peer, command: str) -> str:
        """Carry out one command; everybody must then know what is true."""
        peer.foresee(command)
        tagged = peer.picture.hear(command, self.raw(peer, command))
        if not command.startswith(NUMBERED):
            peer.check(self.inbox)
        for other in self.peers:
            self.hear_idle(other)
        return tagged

    def hear_idle(self, peer: Peer) -> None:
        if peer.listens:
            assert peer.session is not None
            if peer.woken:
                peer.woken = False
                peer.picture.hear("IDLE", run(hear(peer.session.respond())))
            peer.check(self.inbox)

    def end_idle(self, peer: Peer) -> None:
        if peer.idle:
            assert peer.session is not None
            peer.idle = False
            peer.session.feed(b"DONE\r\n")
            peer.picture.hear("IDLE", run(hear(peer.session.respond())))

    def learn(self, peer: Peer) -> None:
        """Ask for what it does not know."""
        if any(entry.uid is None or entry.flags is None for entry in peer.picture.entries):
            modseq = "" if peer.kind == "plain" else " MODSEQ"
            self.say(peer, f"UID FETCH 1:* (FLAGS{modseq})")

    # ---- What may happen ----

    @rule(who=st.integers(0, len(KINDS) - 1), what=NUMBERS, a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def talk(self, who: int, what: int, a: int, b: int, c: int) -> None:
        """A client's command."""
        peer = self.peers[who]
        self.end_idle(peer)
        self.learn(peer)
        command = peer.command(what, a, b, c)
        uids = [entry.uid for entry in peer.picture.entries]
        if command == "IDLE":
            assert peer.session is not None
            peer.picture.hear("IDLE", self.raw(peer, "IDLE"))
            peer.idle, peer.woken = True, False
            return
        tagged = self.say(peer, command)
        assert tagged.startswith(("t OK", "t NO")), f"{command}: {tagged}"
        self.follow(command, uids, tagged, peer)
        self.verify()

    def follow(self, command: str, uids: list[int | None], tagged: str, peer: Peer) -> None:
        """Let the model do what a command does."""
        if (found := re.match(r"(UID )?(STORE|COPY|MOVE) (\S+)", command)) is not None:
            named = set(numbers(found[3]))
            if found[1] is None:
                named = {uid for n, uid in enumerate(uids, 1) if n in named and uid is not None}
            chosen = [message for message in self.model if message.uid in named]
            if found[2] == "STORE":
                self.restyle(command, chosen, tagged)
            elif tagged.startswith("t OK"):
                self.transfer(command, chosen, move=found[2] == "MOVE")
        elif command == "EXPUNGE":
            self.model = [it for it in self.model if "\\Deleted" not in it.flags]
        elif command.startswith("UID EXPUNGE"):
            named = set(numbers(command.rsplit(maxsplit=1)[-1]))
            self.model = [
                it for it in self.model if it.uid not in named or "\\Deleted" not in it.flags
            ]
        elif command.startswith("FETCH") and " BODY[" in command:
            uid = uids[int(command.split()[1]) - 1]
            for message in self.model:
                if message.uid == uid:
                    message.flags |= {"\\Seen"}

    def restyle(self, command: str, chosen: Iterable[Message], tagged: str) -> None:
        since = re.search(r"UNCHANGEDSINCE (\d+)", command)
        style = re.search(r"([+-]?)FLAGS\S* \((.*)\)$", command)
        assert style is not None
        failed = 0
        for message in chosen:
            if since is not None and (
                message.modseq > int(since[1]) or self.inbox.doubtful(int(since[1]))
            ):
                failed += 1
                continue
            flag = frozenset({style[2]})
            if not style[1]:
                message.flags = flag
            else:
                message.flags = message.flags | flag if style[1] == "+" else message.flags - flag
        assert ("MODIFIED" in tagged) == bool(failed), f"{command}: {tagged}"

    def transfer(self, command: str, chosen: list[Message], *, move: bool) -> None:
        if move:
            self.model = [message for message in self.model if message not in chosen]
        if command.endswith("INBOX"):
            self.model += [Message(message.subject, message.flags) for message in chosen]

    @rule(who=st.integers(0, len(KINDS) - 1))
    def lose_connection(self, who: int) -> None:
        """A connection breaks, and the client comes back."""
        peer = self.peers[who]
        peer.remember()
        assert peer.session is not None
        run(peer.session.close())
        self.connect(peer)

    @rule(who=st.integers(0, len(KINDS) - 1))
    def stay_away(self, who: int) -> None:
        """A connection breaks, and the client comes back much later."""
        peer = self.peers[who]
        peer.remember()
        assert peer.session is not None
        run(peer.session.close())
        other = self.peers[who - 1]
        self.end_idle(other)
        for words in ("+FLAGS (\\Deleted)", "", "+FLAGS (kw2)"):
            self.learn(other)
            if other.picture.entries:
                first = other.picture.entries[0].uid
                store = f"UID STORE {first}" if other.kind in BY_UID else "STORE 1"
                command = f"{store} {words}" if words else "EXPUNGE"
                uids = [entry.uid for entry in other.picture.entries]
                self.follow(command, uids, self.say_alone(other, command), other)
                self.verify()
        self.connect(peer)

    def say_alone(self, peer: Peer, command: str) -> str:
        return peer.picture.hear(command, self.raw(peer, command))

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        """Mail arrives."""
        subjects = [self.subject() for _ in range(count)]
        filings = [self.hub.filing(f"q{it}", self.content(it)) for it in subjects]
        assert run(self.hub.filer.file(filings)) == [None] * count
        self.model += [Message(subject) for subject in subjects]
        self.settled()

    def settled(self) -> None:
        """The hub has looked what others did."""
        run(self.inbox.refresh())
        self.verify()
        for peer in self.peers:
            self.hear_idle(peer)

    @rule(place=st.sampled_from(["new", "cur"]))
    def others_add(self, place: str) -> None:
        subject = self.foreign(place)
        self.model.append(Message(subject, frozenset({"\\Seen"} if place == "cur" else ())))
        self.settled()

    @rule(number=NUMBERS, seen=st.booleans())
    def others_flag(self, number: int, seen: bool) -> None:
        path = self.chosen_file(number)
        if path is None:
            return
        base, _, letters = path.name.partition(":2,")
        letters = "".join(sorted(set(letters) - {"S"} | ({"S"} if seen else set())))
        path.rename(path.with_name(f"{base}:2,{letters}"))
        message = self.owner(path)
        message.flags = message.flags - {"\\Seen"} | ({"\\Seen"} if seen else set())
        self.later()
        self.settled()

    @rule(number=NUMBERS)
    def others_remove(self, number: int) -> None:
        path = self.chosen_file(number)
        if path is not None:
            self.model.remove(self.owner(path))
            path.unlink()
            self.later()
            self.settled()

    def owner(self, path: Path) -> Message:
        uid = int(re.findall(r",U=(\d+)", path.name)[-1])
        return next(message for message in self.model if message.uid == uid)

    @rule(how=st.sampled_from(["killed", "rebooted", "lost", "rebuilt"]))
    def crash(self, how: str) -> None:
        """All connections break."""
        for peer in self.peers:
            peer.remember()
        if how == "rebooted":
            self.hub.boot = f"boot {self.ticks} {self.count}"
        if how == "rebuilt":
            self.remake()
        if how == "lost":
            self.hub.follow()  # what no name says yet would be lost with the index
            self.hub.lose_index()
        else:
            self.hub.restart()
        self.anew = how != "killed"
        self.inbox = self.hub.open()
        self.verify()
        for peer in self.peers:
            self.connect(peer)

    # ---- What must be true ----

    def verify(self) -> None:
        """The server shows what the model knows, and keeps its promises of numbers."""
        inbox = self.inbox
        known = {message.uid: message for message in self.model if message.uid}
        fresh = [message for message in self.model if not message.uid]
        assert len(inbox.uids) == len(self.model)
        assert self.highest <= inbox.highest_modseq
        for uid, bits, modseq in zip(inbox.uids, inbox.flags, inbox.modseqs, strict=True):
            message = known.get(uid)
            if message is None:
                message = self.take_in(uid, fresh)
                assert modseq > self.highest or self.anew
            assert named(inbox, bits) == message.flags, uid
            if message.modseq and not self.anew:
                assert modseq == message.modseq or modseq > self.highest
            assert modseq >= message.modseq
            assert modseq <= inbox.highest_modseq
            assert not inbox.doubtful(modseq), "no conditional STORE could succeed"
            message.modseq = modseq
        self.highest, self.anew = int(inbox.highest_modseq), False

    def take_in(self, uid: int, fresh: list[Message]) -> Message:
        key = int(self.inbox.uid_validity), uid
        assert key not in self.used, "a UID was used twice"
        content = run(self.inbox.content(uid))
        assert content is not None
        subject = run(content.read()).split()[1].decode()
        content.close()
        message = next(it for it in fresh if it.subject == subject)
        fresh.remove(message)
        message.uid = uid
        self.used[key] = subject
        return message


class Steps(World):
    """Step by step: each disk job of each session, delivery and look, in any order."""

    def __init__(self) -> None:
        self.disk = StepDisk()
        super().__init__(self.disk)
        self.tasks: dict[int, tuple[Task, str]] = {}
        self.others: list[Task] = []
        opening = self.disk.start(self.hub.stores.of(ALICE))
        self.disk.finish(opening)
        opening = self.disk.start(opening.result.open("INBOX"))
        self.disk.finish(opening)
        self.inbox: SharedMailbox = opening.result
        for who, peer in enumerate(self.peers):
            self.connect(who, peer)

    def connect(self, who: int, peer: Peer) -> None:
        session = peer.begin()
        self.wait(session.greet())
        *before, select = peer.opening()
        for command in before:
            session.feed(f"t {command}\r\n".encode())
            self.wait(hear(session.respond()))
        self.start(who, select)

    def wait(self, coroutine: Any) -> Any:
        task = self.disk.start(coroutine)
        self.settle()
        while not task.ended:
            self.disk.ready()[0].step()
            self.settle()
        return task.result

    def start(self, who: int, command: str) -> None:
        """A client sends a command; what comes of it comes later."""
        peer = self.peers[who]
        assert peer.session is not None
        peer.foresee(command)
        if command:
            peer.session.feed(b"DONE\r\n" if command == "DONE" else f"t {command}\r\n".encode())
        task = self.disk.start(hear(peer.session.respond()))
        self.tasks[who] = task, command
        self.settle()

    def settle(self) -> None:
        """Hear what has been answered."""
        for who, (task, command) in list(self.tasks.items()):
            if not task.ended:
                continue
            del self.tasks[who]
            peer = self.peers[who]
            octets = task.result
            if command.startswith("SELECT") and "QRESYNC" in command:
                peer.expect(octets)
            peer.picture.hear("IDLE" if peer.idle else command, octets)
            if command == "DONE":
                peer.idle = False
            if command == "IDLE":
                peer.idle = True
            if not command.startswith(NUMBERED):
                peer.check(self.inbox)

    @rule(who=st.integers(0, len(KINDS) - 1), what=NUMBERS, a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def talk(self, who: int, what: int, a: int, b: int, c: int) -> None:
        """A client sends a command, or hears what it is told amid IDLE."""
        if who in self.tasks:
            return
        peer = self.peers[who]
        if peer.idle:
            self.start(who, "DONE" if what % 2 or not peer.woken else "")
            peer.woken = False
        elif peer.listens and peer.woken:
            peer.woken = False
            self.start(who, "")
        elif any(entry.uid is None or entry.flags is None for entry in peer.picture.entries):
            modseq = "" if peer.kind == "plain" else " MODSEQ"
            self.start(who, f"UID FETCH 1:* (FLAGS{modseq})")
        else:
            self.start(who, peer.command(what, a, b, c))

    @rule(which=NUMBERS, times=st.integers(1, 4))
    def step(self, which: int, times: int) -> None:
        """The disk does one job, of whoever."""
        for _ in range(times):
            ready = self.disk.ready()
            if ready:
                ready[which % len(ready)].step()
                self.settle()

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        subjects = [self.subject() for _ in range(count)]
        filings = [self.hub.filing(f"q{it}", self.content(it)) for it in subjects]
        self.others.append(self.disk.start(self.hub.filer.file(filings)))

    @rule(place=st.sampled_from(["new", "cur"]))
    def others_add(self, place: str) -> None:
        self.foreign(place)

    @rule(number=NUMBERS, seen=st.booleans())
    def others_change(self, number: int, seen: bool) -> None:
        path = self.chosen_file(number)
        if path is None:
            return
        if seen:
            base, _, letters = path.name.partition(":2,")
            path.rename(path.with_name(f"{base}:2,{''.join(sorted({*letters} ^ {'S'}))}"))
        else:
            path.unlink()
        self.later()

    @rule()
    def look(self) -> None:
        """The hub looks at open mailboxes, as it does every few seconds."""
        self.others.append(self.disk.start(self.inbox.refresh()))

    @precondition(lambda self: len(self.tasks) < len(KINDS))
    @rule(who=st.integers(0, len(KINDS) - 1))
    def lose_connection(self, who: int) -> None:
        if who in self.tasks:
            return
        peer = self.peers[who]
        peer.remember()
        assert peer.session is not None
        self.others.append(self.disk.start(peer.session.close()))
        self.connect(who, peer)

    def teardown(self) -> None:
        self.finish()
        self.wait(self.inbox.refresh())
        for who, peer in enumerate(self.peers):
            if peer.idle:
                self.start(who, "DONE")
                self.finish()
            self.start(who, "NOOP")
            self.finish()
            self.start(who, "UID FETCH 1:* (FLAGS)")
            self.finish()
            peer.check(self.inbox)
            assert None not in {entry.flags for entry in peer.picture.entries}
        self.hub.stores.close()
        shutil.rmtree(self.root)

    def finish(self) -> None:
        while ready := self.disk.ready():
            ready[0].step()
            self.settle()
        assert not self.tasks
        assert all(task.ended for task in self.others)


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestCommands: Any = Commands.TestCase
TestCommands.settings = _settings(EXAMPLES, 30)
TestSteps: Any = Steps.TestCase
TestSteps.settings = _settings(EXAMPLES, 50)


@pytest.mark.soak
class TestLonger:
    @pytest.mark.parametrize("machine", [Commands, Steps])
    def test_many_histories(self, machine: type[World]) -> None:
        """The same, far longer."""
        run_state_machine_as_test(machine, settings=_settings(EXAMPLES * SOAK, 80))
