"""mailhub suppression."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mailhub.mail.address import parse_address
from mailhub.policy.suppression import Entry, Reason
from mailhub.queue.suppressions import Suppressions
from tests.cli.conftest import Mailhub

BOB = "bob@far.example"


@pytest.fixture
def hub(mailhub: Mailhub, state: Path) -> Mailhub:
    """A command line about the hub of that state directory."""
    return lambda *arguments, **more: mailhub(
        "--state", str(state), "suppression", *arguments, **more
    )


@pytest.fixture
def lists(state: Path) -> Suppressions:
    """Some entries."""
    now = time.time()
    made = Suppressions(str(state))
    made.put(
        [
            Entry("hub.example", BOB, Reason.HARD, now, now + 90 * 86_400, 2, "550 5.1.1 No", "q1"),
            Entry("hub.example", "eve@near.example", Reason.COMPLAINT, now - 7200),
            Entry("*", "ann@near.example", Reason.MANUAL, now, now - 1),
        ]
    )
    return made


def addresses(hub: Mailhub, *options: str) -> list[str]:
    return [it["address"] for it in hub("list", "--json", *options).json]


class TestList:
    def test_table(self, hub: Mailhub, lists: Suppressions) -> None:
        """Why, since when, until when; what has ended is marked."""
        out = hub("list").out
        for expected in (BOB, "hard", "in 90d", "550 5.1.1 No", "for ever", "2h ago", "ended"):
            assert expected in out

    def test_nobody(self, hub: Mailhub) -> None:
        """A hub that has suppressed nobody says so."""
        assert "nobody is on a list" in hub("list").out

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            ((), 3),
            (("--domain", "hub.example"), 2),
            (("--domain", "*"), 1),
            (("--reason", "complaint"), 1),
            (("--to", "near.example"), 2),
            (("--since", "1h"), 2),
            (("--limit", "1"), 1),
        ],
    )
    def test_chosen(
        self, hub: Mailhub, lists: Suppressions, options: tuple[str, ...], count: int
    ) -> None:
        """By list, reason, domain of the addresses, time; so many."""
        assert len(addresses(hub, *options)) == count

    def test_more(self, hub: Mailhub, lists: Suppressions) -> None:
        """A long list is cut, and says so."""
        assert "and 2 more: --limit 0 shows all" in hub("list", "--limit", "1").out

    def test_totals(self, hub: Mailhub, lists: Suppressions) -> None:
        """Only those in force are counted."""
        assert hub("list", "--totals", "--json").json == [
            {"domain": "hub.example", "reason": "complaint", "count": 1},
            {"domain": "hub.example", "reason": "hard", "count": 1},
        ]


class TestShow:
    def test_one(self, hub: Mailhub, lists: Suppressions) -> None:
        """What put it there, and where to read on."""
        out = hub("show", BOB.upper()).out
        assert "on the suppression list of hub.example, hard failure on" in out
        assert "mailhub journey q1" in out
        assert hub("show", BOB, "--json").json[0]["reply"] == "550 5.1.1 No"

    def test_none(self, hub: Mailhub, lists: Suppressions) -> None:
        """An address on no list is no list's."""
        said = hub("show", "x@far.example")
        assert said.status == 1
        assert "is on no list" in said.err


class TestAdd:
    def test_manual(self, hub: Mailhub) -> None:
        """On the only domain's list, for ever, with what the operator says."""
        assert "1 address on the list of hub.example" in hub("add", BOB, "--why", "asked").out
        [entry] = hub("list", "--json").json
        assert (entry["reason"], entry["expires"], entry["reply"]) == ("manual", 0.0, "asked")

    def test_for_a_while(self, hub: Mailhub) -> None:
        """Or for a time, on everybody's list."""
        hub("add", BOB, "eve@far.example", "--domain", "*", "--for", "30d")
        assert all(it["domain"] == "*" and it["expires"] for it in hub("list", "--json").json)

    def test_which_list(self, hub: Mailhub, mailhub: Mailhub, state: Path) -> None:
        """Where several domains are hosted, it must be said whose list is meant."""
        mailhub("--state", str(state), "domain", "add", "other.example")
        said = hub("add", BOB)
        assert said.status == 2
        assert "--domain" in said.err

    @pytest.mark.parametrize(
        "arguments", [("bob",), (BOB, "--for", "soon"), (BOB, "--domain", "a b")]
    )
    def test_mistakes(self, hub: Mailhub, arguments: tuple[str, ...]) -> None:
        """One line says what is wrong."""
        said = hub("add", *arguments)
        assert said.status in (1, 2)
        assert "Traceback" not in said.err


class TestRemove:
    def test_named(self, hub: Mailhub, lists: Suppressions) -> None:
        """From all lists, or from one."""
        assert "1 address off the list" in hub("remove", BOB).out
        assert hub("remove", BOB).status == 1
        assert hub("remove", "eve@near.example", "--domain", "other.example").status == 1

    def test_chosen(self, hub: Mailhub, lists: Suppressions) -> None:
        """All that options choose, after a question."""
        assert hub("remove", "--to", "near.example", stdin="n\n").status == 130
        assert len(addresses(hub)) == 3
        assert "2 addresses off" in hub("remove", "--to", "near.example", "--yes").out
        assert addresses(hub) == [BOB]

    def test_not_both(self, hub: Mailhub, lists: Suppressions) -> None:
        """Either names or a choice."""
        assert hub("remove", BOB, "--to", "far.example").status == 2


class TestFiles:
    def test_there_and_back(self, hub: Mailhub, lists: Suppressions, tmp_path: Path) -> None:
        """What was exported can be imported again."""
        before = hub("list", "--json").json
        file = tmp_path / "list.csv"
        hub("export", str(file))
        hub("remove", "--yes")
        assert "3 addresses put on lists" in hub("import", str(file)).out
        after = hub("list", "--json").json
        for one, other in zip(before, after, strict=True):
            for name in ("at", "expires"):
                assert abs(one.pop(name) - other.pop(name)) < 1
            assert one == other

    def test_json(self, hub: Mailhub, lists: Suppressions) -> None:
        """One object on each line, of those that are chosen."""
        out = hub("export", "--json", "--reason", "hard").out
        assert [json.loads(line)["address"] for line in out.splitlines()] == [BOB]

    def test_mistakes(self, hub: Mailhub) -> None:
        """Lines that cannot be used are told with their numbers, a few; the rest is taken."""
        text = "x\n" * 7 + f"{BOB}\n"
        said = hub("import", "-", stdin=text)
        assert said.status == 1
        assert "1 address put on lists" in said.out
        assert "line 1: 'x' is not an address" in said.err
        assert "and 2 more lines" in said.err

    def test_many(self, hub: Mailhub) -> None:
        """More than one page, in and out."""
        text = "".join(f"u{number}@far.example\n" for number in range(2500))
        assert "2500 addresses" in hub("import", "-", "--domain", "*", stdin=text).out
        assert len(hub("export").out.splitlines()) == 2501


class TestCheck:
    def test_held_back(self, hub: Mailhub, lists: Suppressions) -> None:
        """Status 1, with the entry and the line that decides."""
        said = hub("check", "--from", "news@hub.example", "--to", BOB)
        assert said.status == 1
        assert "on the suppression list of hub.example" in said.out
        assert "bounce, [suppression] action (default)" in said.out

    def test_sent(self, hub: Mailhub, lists: Suppressions) -> None:
        """Other classes, other senders, other addresses."""
        assert hub("check", "--from", "a@hub.example", "--to", BOB, "--class", "normal").status == 0
        assert hub("check", "--from", "a@other.example", "--to", BOB).status == 0
        said = hub("check", "--from", "a@hub.example", "--to", "x@far.example", "--json")
        assert (said.status, said.json["sent"], said.json["entry"]) == (0, True, None)


def test_while_the_hub_runs(hub: Mailhub, lists: Suppressions) -> None:
    """What the command line changes, another connection sees at once."""
    hub("add", "new@far.example")
    path = parse_address("new@far.example")
    assert lists.find("hub.example", path, time.time()) is not None
    hub("remove", "new@far.example")
    assert lists.find("hub.example", path, time.time()) is None
