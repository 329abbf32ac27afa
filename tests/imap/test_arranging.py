"""THREAD of a mailbox that changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import conversations
from mailhub.ports.message import Uid
from tests.imap.fakes import FakeMailbox
from tests.imap.given import Talk, store
from tests.imap.test_conversations import ALGORITHMS
from tests.imap.test_threads import said
from tests.rig import run

LETTER = st.tuples(
    st.integers(0, 6), st.lists(st.integers(1, 9), max_size=3), st.sampled_from(["", "a", "Re: a"])
)
CHANGES = st.lists(
    st.one_of(st.lists(LETTER, min_size=1, max_size=3), st.integers(0, 20)), max_size=8
)


def letter(number: int, own: int, refers: list[int], subject: str) -> bytes:
    references = " ".join(f"<{it}@x>" for it in refers)
    return (
        f"Message-ID: {f'<{own}@x>' if own else ''}\r\nReferences: {references}\r\n"
        f"Subject: {subject}\r\n"
        f"Date: 1 Jan 2026 00:{number // 60:02}:{number % 60:02} +0000\r\n\r\n"
    ).encode()


def talk() -> Talk:
    mail = store()
    for uid in list(mail.inbox.uids):
        run(mail.inbox.expunge([Uid(uid)]))
    session = Talk(mail)
    session.say("a LOGIN alice secret")
    session.say("a SELECT INBOX")
    return session


def threads_of(session: Talk, algorithm: str, box: FakeMailbox) -> str:
    heard = session.say(f"a UID THREAD {algorithm} UTF-8 ALL")
    return next(it for it in heard if it.startswith("* THREAD")).removeprefix("* THREAD").strip()


@given(CHANGES, ALGORITHMS)
def test_as_if_anew(changes: list[list[tuple[int, list[int], str]] | int], algorithm: str) -> None:
    """Whatever came and left, the threads are those that one would arrange now."""
    session = talk()
    box = session.store.inbox
    number = 0
    for change in changes:
        if isinstance(change, list):
            for own, refers, subject in change:
                number += 1
                box.deliver(letter(number, own, refers, subject))
        elif box.uids:
            run(box.expunge([Uid(box.uids[change % len(box.uids)])]))
        session.say("a NOOP")
        expected = said(algorithm, run(box.threadables(Uid(1), 1000)))
        assert threads_of(session, algorithm, box) == expected
        box.remembered.clear()
        assert threads_of(session, algorithm, box) == expected


def test_only_what_is_touched() -> None:
    """An answer has its own thread arranged anew, and no other; a crowd has them all."""
    session = talk()
    box = session.store.inbox
    for number in range(1, 30):
        box.deliver(letter(number, number, [], f"matter {number}"))
    session.say("a NOOP")
    before = threads_of(session, "REFERENCES", box)
    assert before == "".join(f"({uid})" for uid in box.uids)
    sorted_before = box.ordered
    new = box.deliver(letter(40, 40, [7], "Re: matter 7"))
    session.say("a NOOP")
    seventh = box.uids[6]
    changed = before.replace(f"({seventh})", f"({seventh} {new})")
    assert threads_of(session, "REFERENCES", box) == changed
    assert box.ordered == sorted_before
    for number in range(50, 50 + conversations.NAMES + 1):
        box.deliver(letter(number, number, [], f"matter {number}"))
    session.say("a NOOP")
    assert threads_of(session, "REFERENCES", box).startswith(changed)
    assert box.ordered > sorted_before


def test_sequence_numbers() -> None:
    """By number and by UID the same is kept."""
    session = talk()
    box = session.store.inbox
    for number in (1, 2, 3):
        box.deliver(letter(number, number, [1] if number == 3 else [], f"m{number}"))
    session.say("a NOOP")
    first, second, third = box.uids
    assert threads_of(session, "REFS", box) == f"({second})({first} {third})"
    assert "* THREAD (2)(1 3)" in session.say("a THREAD REFS UTF-8 ALL")
    run(box.expunge([Uid(second)]))
    session.say("a NOOP")
    assert "* THREAD (1 2)" in session.say("a THREAD REFS UTF-8 ALL")


@given(st.integers(1, 8), st.integers(0, 4), ALGORITHMS, st.sampled_from(["ALL", "1:4"]))
def test_amid_expunges(moment: int, place: int, algorithm: str, which: str) -> None:
    """A message that leaves at any moment of it is not in the threads, and disturbs none."""
    session = talk()
    box = session.store.inbox
    for number in range(5):
        box.deliver(letter(number, number + 1, [max(number, 1)], "ab"[number % 2]))
    uid, left = Uid(box.uids[place]), [moment]

    def during() -> None:
        left[0] -= 1
        if not left[0] and uid in box.uids:
            run(box.expunge([uid]))

    box.during = during
    *_, end = session.say(f"a UID THREAD {algorithm} UTF-8 {which}")
    assert end == "a OK Thread completed"
