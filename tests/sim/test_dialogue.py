"""What is said out of order is found, however it is cut."""

from __future__ import annotations

import pytest

from mailhub.sim.dialogue import Dialogue, Transaction

Said = tuple[str, str]


def told(*said: Said, cut: int = 0) -> tuple[Dialogue, list[Transaction]]:
    """A conversation in which ``C`` and ``S`` say lines; what was wrong, and the final replies."""
    done: list[Transaction] = []
    dialogue = Dialogue(lambda what, it: done.append(it) if what == "." else None)
    for who, text in said:
        octets = text.replace("\n", "\r\n").encode()
        step = cut or len(octets)
        for start in range(0, len(octets), step):
            piece = octets[start : start + step]
            (dialogue.asked if who == "C" else dialogue.answered)(piece)
    return dialogue, done


OPENING: tuple[Said, ...] = (
    ("S", "220 mx ESMTP\n"),
    ("C", "EHLO here\n"),
    ("S", "250-mx\n250 PIPELINING\n"),
)
ENVELOPE = "MAIL FROM:<a@here>\nRCPT TO:<b@mx>\nRCPT TO:<c@mx>\nDATA\n"
GOOD = "250 2.1.0 Ok\n250 2.1.5 Ok\n550 5.1.1 Who?\n354 Go on\n"


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_all_is_well(cut: int) -> None:
    """A conversation as it should be: nothing is wrong, and its message is known."""
    dialogue, [first, second] = told(
        *OPENING,
        ("C", ENVELOPE),
        ("S", GOOD),
        ("C", "Subject: x\n\n..hello\n.\n" + ENVELOPE),
        ("S", "250 2.0.0 Ok\n" + GOOD),
        ("C", ".\nQUIT\n"),
        ("S", "451 4.3.0 Later\n221 2.0.0 Bye\n"),
        cut=cut,
    )
    assert dialogue.faults == []
    assert dialogue.over
    assert (first.accepted, first.refused, first.code) == (["b@mx"], ["c@mx"], 250)
    assert first.content == b"Subject: x\r\n\r\n.hello\r\n"
    assert (second.code, second.content) == (451, b"")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ([("C", ENVELOPE), ("S", "250 2.1.5 Ok\n")], "MAIL <a@here> is answered with 250 2.1.5 Ok"),
        ([("C", ENVELOPE), ("S", "250 2.1.0 Ok\n250 2.1.0 Ok\n")], "RCPT <b@mx>"),
        ([("C", ENVELOPE), ("S", "250 2.1.0 Ok\n354 Go on\n")], "RCPT <b@mx>"),
        (
            [("C", ENVELOPE), ("S", "250 2.1.0 Ok\n550 No\n550 No\n354 Go on\n")],
            "DATA is answered with 354 Go on, out of its turn",
        ),
        ([("C", ENVELOPE), ("S", "550 No\n250 2.1.5 Ok\n")], "out of its turn"),
        ([("S", "250 2.0.0 Ok\n")], "answers nothing"),
        ([("C", "NOOP\n"), ("S", "250-a\n550 b\n")], "is no reply"),
        ([("C", "QUIT\n"), ("S", "250 2.0.0 Ok\n")], "QUIT is answered with 250"),
        ([("C", ENVELOPE), ("S", GOOD + "250 2.0.0 Ok\n")], "answers nothing"),
    ],
)
def test_out_of_order(said: list[Said], fault: str) -> None:
    """Replies that belong to another command, or to none."""
    dialogue, _ = told(*OPENING, *said)
    assert any(fault in found for found in dialogue.faults), dialogue.faults


def test_a_farewell_at_any_time() -> None:
    """421 may come unasked, and nothing behind it counts (RFC 5321 §3.8)."""
    dialogue, _ = told(*OPENING, ("S", "421 4.4.2 Too slow\n250 Ok\n"))
    assert dialogue.faults == []


@pytest.mark.parametrize("cut", [0, 1])
def test_chunks(cut: int) -> None:
    """BDAT has its octets, whatever is in them (RFC 3030 §2)."""
    dialogue, [done] = told(
        *OPENING,
        ("C", "MAIL FROM:<a@here>\nRCPT TO:<b@mx>\nBDAT 6\nQUIT\nBDAT 3 LAST\n.\n"),
        ("S", "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.0.0 6 octets\n250 2.0.0 Ok\n"),
        cut=cut,
    )
    assert (dialogue.faults, dialogue.over) == ([], False)
    assert done.content == b"QUIT\r\n.\r\n"


@pytest.mark.parametrize(
    "login",
    [
        [("C", "AUTH PLAIN AGFubkBvbmUAeA==\n"), ("S", "235 2.7.0 Ok\n")],
        [
            ("C", "AUTH PLAIN\n"),
            ("S", "334 \n"),
            ("C", "AGFubkBvbmUAeA==\n"),
            ("S", "235 2.7.0 Ok\n"),
        ],
    ],
)
def test_a_login(login: list[Said]) -> None:
    """Who sends is known behind a login, in one step and in two (RFC 4954 §4)."""
    dialogue, [done] = told(
        *OPENING, *login, ("C", ENVELOPE), ("S", GOOD), ("C", ".\n"), ("S", "250 2.0.0 Ok\n")
    )
    assert (dialogue.faults, done.account) == ([], "ann@one")


def test_encrypted() -> None:
    """Behind STARTTLS nothing is understood, and nothing wrong."""
    dialogue, _ = told(
        *OPENING, ("C", "STARTTLS\n"), ("S", "220 2.0.0 Go\n"), ("C", "\x16\x03"), ("S", "\x16\n")
    )
    assert dialogue.faults == []


def test_several_messages_under_way() -> None:
    """Each message keeps its content, though others follow it before its reply comes."""
    _, [first, second] = told(
        *OPENING,
        ("C", "MAIL FROM:<a@here>\nRCPT TO:<b@mx>\nBDAT 3 LAST\n1\n"),
        ("C", "MAIL FROM:<a@here>\nRCPT TO:<c@mx>\nBDAT 3 LAST\n2\n"),
        ("S", "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.0.0 Ok\n" * 2),
    )
    assert (first.content, second.content) == (b"1\r\n", b"2\r\n")
