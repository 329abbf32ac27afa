"""What replies mean for each recipient of a message."""

from __future__ import annotations

import pytest

from mailhub.mail.reply import Reply
from mailhub.smtp.job import Handover, always, conclude, settle

OK = Reply(250, "1.5", ("Ok",))
NO = Reply(550, "1.1", ("Who?",))
DONE = Reply(250, "0.0", ("Queued",))


def test_settle() -> None:
    """The refused are settled, the others are accepted, and are settled by the content's reply."""
    result = Handover([None] * 3)
    accepted = settle(result, [0, 1, 2], [OK, OK, NO, OK])
    assert accepted == [0, 2]
    assert result.open == [0, 2]
    conclude(result, accepted, DONE)
    assert result.replies == [DONE, NO, DONE]
    assert result.final is DONE


def test_mail_refused() -> None:
    """Whoever refuses MAIL has refused all."""
    result = Handover([None, None])
    assert settle(result, [0, 1], [NO]) == []
    assert result.replies == [NO, NO]


@pytest.mark.parametrize(("code", "detail"), [(452, "5.3"), (452, ""), (552, "5.3")])
def test_too_many(code: int, detail: str) -> None:
    """Those beyond a server's limit wait for another transaction (RFC 5321 §4.5.3.1.10)."""
    many = Reply(code, detail, ("Too many",))
    result = Handover([None, None])
    assert settle(result, [0, 1], [OK, OK, many]) == [0]
    assert result.open == [0, 1]
    alone = Handover([None])
    assert settle(alone, [0], [OK, many]) == []
    assert alone.replies == [many], "one who is alone is beyond no limit"


def test_always() -> None:
    """Who asks nothing may begin."""
    assert always()
