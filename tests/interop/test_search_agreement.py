"""SEARCH, SORT and THREAD as Dovecot answers them over the same messages.

Where we differ on purpose docs/developer.md says; queries about that are not among these.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from mailhub.imap.session import Session
from mailhub.imap.settings import Settings
from mailhub.ports.accounts import Account
from mailhub.ports.conversation import Client
from tests.imap.fakes import FakeLogins, FakeMechanisms
from tests.interop.peers import home
from tests.interop.test_agreement import Asking, generated
from tests.interop.test_dovecot import Dovecot
from tests.rig import hear, run
from tests.store.world import Hub

pytestmark = pytest.mark.interop

SEED = 20261124
ARRIVED = 1_700_000_000
CONVERSATIONS = 150
SUBJECTS = (
    "Budget",
    "[team] Budget",
    "Lunch?",
    "Grüße",
    "",
    "[x]",
    "Re[2]: Lunch?",
    "budget (fwd)",
)
WORDS = (
    "Ärger",
    "report",
    "naïve",
    "BUDGET",
    "ünder",
    "plain",
    "日本語",
    "once",
    "x y",
    "qqqq",
    "e",
)
NAMES = (
    "Ann Öl <ann@x.example>",
    "bob@y.example",
    '"Carl, the" <c@z.example>',
    "Ann <z@x.example>",
)


def conversations(rng: random.Random) -> Iterator[bytes]:
    """Messages that answer others, some of which nobody has."""
    chains: list[list[str]] = []
    for number in range(CONVERSATIONS):
        made = EmailMessage(policy=policy.SMTP)
        answered = rng.choice(chains) if chains and rng.random() < 0.6 else []
        prefix = rng.choice(("Re: ", "RE:  ", "Re: Re: ")) if answered else ""
        subject = prefix + rng.choice(SUBJECTS)
        if subject:
            made["Subject"] = subject
        made["From"], made["To"] = rng.choice(NAMES), rng.choice(NAMES)
        if rng.random() < 0.5:
            made["Cc"] = rng.choice(NAMES)
        if rng.random() < 0.9:
            sent = datetime.fromtimestamp(1_600_000_000 + rng.randrange(10**6), UTC)
            made["Date"] = format_datetime(sent)
        name = f"<m{number}@x.example>"
        made["Message-ID"] = name
        if answered:
            if rng.random() < 0.8:
                made["References"] = " ".join(answered)
            else:
                made["In-Reply-To"] = answered[-1]
        chains.append([*answered, name])
        text = " ".join(rng.choices(WORDS, k=12)) + "\n"
        made.set_content(text, cte=rng.choice(("quoted-printable", "base64")))
        if rng.random() < 0.85:
            yield made.as_bytes()


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    return [*conversations(random.Random(SEED)), *generated().values()]


def lay(maildir: Path, messages: list[bytes]) -> None:
    """The messages as another program would have delivered them."""
    for number, octets in enumerate(messages, 1):
        path = maildir / "cur" / f"{ARRIVED + number}.M{number}P1.x:2,{'S' * (number % 3 == 0)}"
        path.write_bytes(octets)
        os.utime(path, (ARRIVED + number, ARRIVED + number))


@pytest.fixture(scope="module")
def dovecot(messages: list[bytes]) -> Iterator[Asking]:
    with home("searching") as place:
        maildir = place / "mail"
        (maildir / "cur").mkdir(parents=True)
        lay(maildir, messages)
        peer = Dovecot(place, maildir)
        peer.start()
        try:
            with contextlib.closing(Asking(peer.ports["imap"])) as asking:
                yield asking
        finally:
            peer.stop()


class Alone:
    """`ports.store.Reaches` of an account that shares nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def of(self, account: Account) -> Any:
        store: Any = await self._hub.stores.of(account)
        store.admin, store.others = False, ""
        return store

    async def named(self, address: str) -> None:
        return None


@pytest.fixture(scope="module")
def ours(messages: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session on a real store."""
    hub = Hub(tmp_path_factory.mktemp("hub"))
    hub.open()
    alice = run(FakeLogins().password("alice", "secret"))
    run(hub.stores.of(alice))
    lay(hub.root / alice.maildir, messages)
    session = Session(
        Client("127.0.0.1", 143),
        Settings("hub.example", now=lambda: 1_700_000_000.0),
        FakeMechanisms(),
        FakeLogins(),
        Alone(hub),
    )
    run(session.greet())
    session.feed(b"l LOGIN alice secret\r\ns SELECT INBOX\r\n")
    assert b"s OK" in run(hear(session.respond()))
    return session


def asked(session: Session, command: bytes) -> bytes:
    session.feed(b"a " + command + b"\r\n")
    return run(hear(session.respond()))


def answer(heard: bytes) -> str:
    """The response to a search, with one blank where there are several."""
    [line] = re.findall(rb"^\* (?:E?SEARCH|SORT|THREAD)[^\r]*", heard, re.MULTILINE)
    return re.sub(r"TAG \"?\w+\"?", "TAG", line.decode()).replace("  ", " ").strip()


PLACES = ("SUBJECT", "BODY", "TEXT", "FROM", "TO")
PLAIN = ("budget", "lunch", "ann", "team", "plain", "once", "report", "nowhere", "a", "example")
FOREIGN = (
    "grüße",
    "ärger",
    "Naïve",
    "naive",
    "日本",
    "ÜNDER",
    "under",
    "x y",
    "x  y",
    "é",
    "GRÜSSE",
)
SORTED = (
    *("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"),
    *("REVERSE SUBJECT", "REVERSE DATE", "SUBJECT DATE", "REVERSE SUBJECT REVERSE DATE"),
)
COMMANDS = [
    # Attachments' names, and the header sections of messages within, are found here and not
    # there: bodies are those of messages without. Nor do threads sort alike whose latest
    # messages were sent in the same second.
    *(f"SEARCH 1:110 {place} {word}" for place in PLACES for word in PLAIN),
    *(f'SEARCH CHARSET UTF-8 1:110 {place} "{word}"' for place in PLACES for word in FOREIGN),
    "SEARCH SENTSINCE 14-Sep-2020 SENTBEFORE 20-Sep-2020",
    "SEARCH SENTON 15-Sep-2020",
    'SEARCH HEADER References ""',
    "SEARCH HEADER References m7@",
    "SEARCH HEADER Message-ID m3",
    'SEARCH CC ""',
    "SEARCH 1:110 NOT BODY plain",
    "SEARCH OR BODY once SUBJECT budget UNSEEN",
    "SEARCH RETURN (MIN MAX COUNT) SUBJECT budget",
    "SEARCH RETURN (ALL) BODY once",
    "SEARCH LARGER 1000 SMALLER 3000 SEEN",
    *(f"SORT ({keys}) UTF-8 ALL" for keys in SORTED),
    "SORT (SUBJECT) UTF-8 SEEN BODY once",
    "SORT RETURN (COUNT) (DATE) UTF-8 SEEN",
    "SORT RETURN (ALL) (DATE) UTF-8 SEEN",
    *(
        f"THREAD {algorithm} UTF-8 {which}"
        for algorithm in ("REFERENCES", "REFS", "ORDEREDSUBJECT")
        for which in ("1:110", "1:110 SEEN", "1:110 SUBJECT budget")
    ),
    "THREAD REFERENCES UTF-8 ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_agreement(dovecot: Asking, ours: Session, command: str) -> None:
    """The same answer to each."""
    theirs = answer(dovecot.command(command.encode()))
    assert answer(asked(ours, command.encode())) == theirs
