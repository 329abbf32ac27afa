"""ENABLE, and commands that enable by the way."""

from __future__ import annotations

import pytest

from tests.imap.given import Talk


class TestEnable:
    def test_once(self) -> None:
        """What is enabled already is not said again; order and case do not matter."""
        talk = Talk().login()
        assert talk.say("a ENABLE condstore QResync condstore")[0] == "* ENABLED CONDSTORE QRESYNC"
        assert talk.say("b ENABLE QRESYNC CONDSTORE") == ["* ENABLED", "b OK Nothing more enabled"]

    def test_with_a_mailbox(self) -> None:
        """Who enables with a mailbox selected hears its highest MODSEQ."""
        talk = Talk().select()
        assert talk.say("a ENABLE QRESYNC")[0] == "* OK [HIGHESTMODSEQ 4] MODSEQs are told"
        assert talk.say("b ENABLE CONDSTORE")[0] == "* ENABLED"  # it came along

    def test_forgotten(self) -> None:
        """UNAUTHENTICATE switches everything off."""
        talk = Talk().login()
        talk.say("a ENABLE QRESYNC")
        talk.say("b UNAUTHENTICATE")
        talk.login()
        assert talk.say("c SELECT INBOX (QRESYNC (7 3))") == ["c BAD QRESYNC was not enabled"]


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (MODSEQ)",
        "FETCH 1 (UID) (CHANGEDSINCE 99)",
        "STORE 1 (UNCHANGEDSINCE 99) FLAGS ()",
        "STATUS INBOX (HIGHESTMODSEQ)",
    ],
)
def test_by_the_way(command: str) -> None:
    """Each command that shows knowledge of MODSEQs enables them, from then on."""
    talk = Talk().select()
    assert "* OK [HIGHESTMODSEQ 4] MODSEQs are told" in talk.say(f"a {command}")
    assert "MODSEQ" in talk.say("b STORE 1 +FLAGS (\\Seen)")[0]
    assert not any("HIGHESTMODSEQ" in line for line in talk.say("c FETCH 1 (MODSEQ)"))
