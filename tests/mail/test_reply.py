"""Replies: two statements of severity that cannot disagree."""

from __future__ import annotations

import pytest

from mailhub.mail.reply import Refusal, Reply


class TestReply:
    """A reply as a value."""

    def test_wire(self) -> None:
        """The enhanced status is repeated on each line (RFC 2034 §4)."""
        reply = Reply(550, "1.1", ("No such user", "Try another"))
        assert bytes(reply) == b"550-5.1.1 No such user\r\n550 5.1.1 Try another\r\n"

    def test_wire_without_status(self) -> None:
        """Some replies may not carry an enhanced status."""
        assert bytes(Reply(354, "", ("Go on",))) == b"354 Go on\r\n"

    def test_severity_is_the_code_s(self) -> None:
        """Positive, temporary and permanent are read off the code."""
        assert Reply(250, "", ("ok",)).positive
        assert not Reply(450, "", ("no",)).positive
        assert not Reply(450, "", ("no",)).permanent
        assert Reply(550, "", ("no",)).permanent

    @pytest.mark.parametrize(
        ("code", "texts", "detail", "lines"),
        [
            (550, ["5.1.1 No such user"], "1.1", ("No such user",)),
            (550, ["5.1.1 No", "5.1.1 such user"], "1.1", ("No", "such user")),
            (550, ["4.1.1 Contradiction"], "", ("4.1.1 Contradiction",)),
            (250, ["ok"], "", ("ok",)),
            (250, ["2.0.0"], "0.0", ("",)),
            (421, [], "", ("",)),
            (550, ["5.7.1234 too long"], "", ("5.7.1234 too long",)),
        ],
    )
    def test_parse(self, code: int, texts: list[str], detail: str, lines: tuple[str, ...]) -> None:
        """A peer's enhanced status is taken only if it agrees with its code."""
        assert Reply.parse(code, texts) == Reply(code, detail, lines)

    def test_status_for_reports(self) -> None:
        """A DSN needs a status even where the peer gave none (RFC 3464 §2.3.4)."""
        assert Reply(550, "1.1", ("x",)).status == "5.1.1"
        assert Reply(451, "", ("x",)).status == "4.0.0"

    def test_text(self) -> None:
        """Quoted in one line, as a person would."""
        assert Reply(550, "1.1", ("No", "user")).text == "550 5.1.1 No user"
        assert Reply(250, "", ("",)).text == "250"

    def test_refusal_carries_its_reply(self) -> None:
        """The exception is the reply."""
        refusal = Refusal(452, "4.2", "Full")
        assert refusal.reply == Reply(452, "4.2", ("Full",))
        assert str(refusal) == "452 4.4.2 Full"
