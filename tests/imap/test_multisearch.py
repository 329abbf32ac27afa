"""ESEARCH in several mailboxes (RFC 7377)."""

from __future__ import annotations

import pytest

from tests.imap.fakes import FakeStore
from tests.imap.given import Talk
from tests.imap.test_searches import letter
from tests.rig import run


def talk() -> Talk:
    mail = FakeStore()
    for name in ("Work", "Work/Reports", "Work/Reports/Old", "Übung"):
        run(mail.create(name))
    for name, box in mail.boxes.items():
        box.deliver(letter(1, f"x in {name}"))
        box.deliver(letter(2, "y"))
    mail.subscribed |= {"Work", "Gone"}
    return Talk(mail).login()


def searched(session: Talk, command: str) -> list[str]:
    *heard, end = session.say(f"t {command}")
    assert end == "t OK Search completed", end
    assert all(line.startswith('* ESEARCH (TAG "t" MAILBOX ') for line in heard)
    return [line.split(" MAILBOX ")[1].split(" UIDVALIDITY ")[0] for line in heard]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ("inboxes", ["INBOX"]),
        ("subscribed", ["Work"]),
        ("personal", ["INBOX", "Work", "Work/Reports", "Work/Reports/Old", "&ANw-bung"]),
        ('mailboxes "Work/Reports"', ["Work/Reports"]),
        ("mailboxes (Work None)", ["Work"]),
        ("subtree Work", ["Work", "Work/Reports", "Work/Reports/Old"]),
        ("subtree-one Work", ["Work", "Work/Reports"]),
        ("inboxes mailboxes INBOX", ["INBOX"]),
    ],
)
def test_sources(sources: str, names: list[str]) -> None:
    """Where to search; what is not there is passed over (RFC 7377 §2.2)."""
    assert searched(talk(), f"ESEARCH IN ({sources}) SUBJECT x") == names


def test_results() -> None:
    """UIDs, with RETURN's options; mailboxes without results are not spoken of."""
    session = talk()
    assert session.say("t ESEARCH IN (personal) RETURN (COUNT ALL) SUBJECT reports") == [
        '* ESEARCH (TAG "t" MAILBOX Work/Reports UIDVALIDITY 9) UID COUNT 1 ALL 1',
        '* ESEARCH (TAG "t" MAILBOX Work/Reports/Old UIDVALIDITY 10) UID COUNT 1 ALL 1',
        "t OK Search completed",
    ]
    assert all(box.opened == box.released for box in session.store.boxes.values())
    heard = session.say("t ESEARCH IN (inboxes) RETURN (MAX) MODSEQ 1")
    assert heard[0].endswith("UID MAX 2 MODSEQ 3")


def test_selected() -> None:
    """Without IN it is the selected mailbox, which may be saved."""
    session = talk()
    assert session.say("t ESEARCH ALL") == ["t BAD No mailbox is selected"]
    session.say("s SELECT Work")
    assert searched(session, "ESEARCH SUBJECT x") == ["Work"]
    assert session.say("t ESEARCH RETURN (SAVE) SUBJECT y") == ["t OK Search completed"]
    assert session.say("a SEARCH $")[0] == "* SEARCH 2"
    assert searched(session, "ESEARCH IN (selected-delayed inboxes) ALL") == ["Work", "INBOX"]


@pytest.mark.parametrize(
    "command",
    [
        "IN (nonsense) ALL",
        "IN () ALL",
        "IN (inboxes)",
        "IN (inboxes) RETURN (SAVE) ALL",
        "IN (inboxes) RETURN (UPDATE) ALL",
    ],
)
def test_bad(command: str) -> None:
    """What does not parse, and what cannot be."""
    assert talk().say(f"t ESEARCH {command}")[-1].startswith("t BAD")
