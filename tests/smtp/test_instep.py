"""Which replies belong to which commands."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply
from mailhub.smtp.instep import about_another, fits

ANN, BEA = Path("Ann", "example.org"), Path("bea", "example.org")
GOOD = Reply(250, "1.5", ("Ok",))


@pytest.mark.parametrize(
    ("stage", "code", "good"),
    [
        *(("mail", code, True) for code in (250, 451, 550)),
        *(("rcpt", code, True) for code in (250, 251, 450, 550)),
        *(("data", code, True) for code in (354, 451, 503, 554)),
        *(("mail", 354, False), ("rcpt", 354, False), ("data", 250, False)),
    ],
)
def test_codes(stage: str, code: int, good: bool) -> None:
    """Only DATA is answered with 3yz, and it is never answered with 2yz."""
    assert fits(stage, Reply(code, "", ("x",))) is good


@pytest.mark.parametrize(
    ("first", "second", "strange"),
    [
        ("<ann@example.org>: who?", "<bea@example.org>: who?", False),
        ("who?", "who?", False),
        ("<bea@example.org>: who?", "who?", True),
        ("<bea@example.org>: who?", "<ann@example.org>: who?", True),
        ("<ann@example.org>, beside <bea@example.org>", "who?", False),
        ("<cid@example.org>: who?", "who?", False),
    ],
)
def test_names(first: str, second: str, strange: bool) -> None:
    """A refusal that names another recipient of the same transaction belongs to that one."""
    asked = [(ANN, Reply(550, "1.1", (first,))), (BEA, Reply(550, "1.1", (second,)))]
    assert (about_another(asked) is not None) is strange


def test_what_is_taken() -> None:
    """Who is taken may be named with others: his mail may be forwarded to them."""
    taken = Reply(251, "1.5", ("will forward to <bea@example.org>",))
    assert about_another([(ANN, taken), (BEA, GOOD)]) is None
    assert about_another([(ANN, Reply(550, "1.1", ("<bea@example.org>",)))]) is None
