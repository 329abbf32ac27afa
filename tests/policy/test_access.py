"""Who may send what to whom; above all, that nobody relays through us."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.reply import Refusal
from mailhub.policy.access import (
    OWN_SENDERS,
    TRUSTED,
    Rules,
    check_recipient,
    check_sender,
    may_relay,
    recipient_verdict,
)
from mailhub.policy.verdict import Verdict
from mailhub.ports.conversation import Client
from tests.policy.test_alias import FakeDirectory, at
from tests.rig import run

DIRECTORY = FakeDirectory(
    accounts={"alice": True, "bob": True, "odd%name": True, "gone": False},
    aliases={"team": ["alice", "bob"], "out": ["carol@elsewhere.example"]},
    master="bob",
)
STRANGER = Client("192.0.2.1", 4711)
ALICE = Client("192.0.2.1", 4711, account=run(DIRECTORY.account(at("alice"))))
USER = Client("192.0.2.1", 4711, account=ALICE.account, submission=True)
RULES = Rules(
    trusted=(ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")),
    addresses=frozenset({"203.0.113.5", "2001:db8::5"}),
)


def refused(client: Client, text: str, rules: Rules = RULES) -> str:
    """The reply to RCPT, with what a parser or a verdict says against it."""
    with pytest.raises(Refusal) as caught:
        run(check_recipient(client, parse_path(text, utf8=True), DIRECTORY, rules))
    return f"{caught.value.reply.code} {caught.value.reply.status}"


class TestRelaying:
    @pytest.mark.parametrize(
        "trick",
        [
            "victim@elsewhere.example",
            "victim@elsewhere.example.",
            "victim@ELSEWHERE.EXAMPLE",
            "victim%elsewhere.example@hub.example",
            "victim%elsewhere.example@[203.0.113.5]",
            "victim%elsewhere.example@[192.0.2.9]",
            "elsewhere.example!victim@hub.example",
            "elsewhere.example!victim@[203.0.113.5]",
            "hub.example!elsewhere.example!victim@hub.example",
            '"victim@elsewhere.example"@hub.example',
            '"victim@elsewhere.example"@[203.0.113.5]',
            '"victim%elsewhere.example"@hub.example',
            '"victim@elsewhere.example"@[IPv6:2001:db8::5]',
            '"<victim@elsewhere.example>"@hub.example',
            '"victim@elsewhere.example\\\\"@hub.example',
            '"victim\\@elsewhere.example"@hub.example',
            "@hub.example:victim@elsewhere.example",
            "@hub.example,@hub.example:victim@elsewhere.example",
            "@elsewhere.example:victim%elsewhere.example@hub.example",
            "victim@[192.0.2.9]",
            "victim@[IPv6:2001:db8::9]",
            "alice@[192.0.2.9]",
            "alice@hub.example.elsewhere.example",
            "alice@sub.hub.example",
            "alice@hub.examplf",
            "alice@hub-example",
            "alice@localhost",
            "alice@xn--hub-example.example",
            "victim%elsewhere.example+tag@hub.example",
            "+victim@elsewhere.example",
            "postmaster@elsewhere.example",
            "postmaster@[192.0.2.9]",
        ],
    )
    def test_tricks(self, trick: str) -> None:
        """No spelling of a foreign address is taken from a stranger."""
        assert refused(STRANGER, trick) in ("550 5.7.1", "550 5.1.1")

    @pytest.mark.parametrize(
        "junk",
        [
            "victim@elsewhere.example@hub.example",
            "victim@[203.0.113.5",
            "victim@elsewhere.example,alice@hub.example",
            "victim@elsewhere.example alice@hub.example",
            "alice@hub.example:victim@elsewhere.example",
            "alice@hub.example..",
            "victim",
            "victim@",
            "@",
            "elsewhere.example!victim",
            "victim@[0x7f000001]",
            "victim@[127.1]",
            "victim@127.0.0.1\n",
        ],
    )
    def test_junk(self, junk: str) -> None:
        """What is no path never gets as far as a verdict."""
        with pytest.raises(Refusal) as caught:
            run(check_recipient(STRANGER, parse_path(junk), DIRECTORY, RULES))
        assert caught.value.reply.code in (501, 550)

    def test_strange_names_are_names(self) -> None:
        """A percent sign in an account's name is part of it, and nothing else."""
        found = run(check_recipient(STRANGER, at("odd%name"), DIRECTORY, RULES))
        assert [account.path.local for account in found.accounts] == ["odd%name"]

    @pytest.mark.parametrize(
        "trick",
        ["victim%elsewhere.example", "elsewhere.example!victim", "victim@elsewhere.example"],
    )
    def test_catch_all(self, trick: str) -> None:
        """A catch-all takes such names as names: they stay here."""
        directory = FakeDirectory({"bob": True}, everyone=["bob"])
        found = run(check_recipient(STRANGER, at(trick), directory, RULES))
        assert [account.path.local for account in found.accounts] == ["bob"]
        assert found.others == ()

    def test_our_alias_abroad(self) -> None:
        """An alias of ours may lead abroad, whoever writes to it."""
        found = run(check_recipient(STRANGER, at("out"), DIRECTORY, RULES))
        assert found.others == (parse_path("carol@elsewhere.example"),)

    @pytest.mark.parametrize(
        "client", [ALICE, USER, Client("198.51.100.7", 1), Client("2001:db8::1", 1)]
    )
    def test_allowed(self, client: Client) -> None:
        """Those who logged in, and networks that are trusted, write to everybody."""
        path = parse_path("carol@elsewhere.example")
        assert run(check_recipient(client, path, DIRECTORY, RULES)).others == (path,)

    @pytest.mark.parametrize(
        "client",
        [
            STRANGER,
            Client("198.51.100.7", 1, submission=True),
            Client("", 0),
            Client("/run/socket", 0),
            Client("198.51.101.7", 1),
        ],
    )
    def test_not_allowed(self, client: Client) -> None:
        """Trust in a network does not count on the submission port."""
        assert not may_relay(client, RULES)

    def test_trusts_nobody(self) -> None:
        """By default not even loopback relays."""
        assert not may_relay(Client("127.0.0.1", 1), Rules())


class TestRecipients:
    @pytest.mark.parametrize(
        ("text", "who"),
        [
            ("alice@hub.example", ["alice"]),
            ("Alice+tag@HUB.example.", ["alice"]),
            ("team@hub.example", ["alice", "bob"]),
            ("postmaster", ["bob"]),
            ("Postmaster@hub.example", ["bob"]),
            ("abuse@hub.example", ["bob"]),
            ("postmaster@[203.0.113.5]", ["bob"]),
            ("PostMaster@[IPv6:2001:DB8:0::5]", ["bob"]),
            ("@elsewhere.example:alice@hub.example", ["alice"]),
        ],
    )
    def test_ours(self, text: str, who: list[str]) -> None:
        """Mail for ourselves is taken from everybody."""
        found = run(check_recipient(STRANGER, parse_path(text), DIRECTORY, RULES))
        assert [account.path.local for account in found.accounts] == who

    def test_our_name(self) -> None:
        """Our own name has a postmaster, and nobody else, though it is no hosted domain."""
        for local in ("postmaster", "Abuse", "MAILER-DAEMON"):
            path = parse_path(f"{local}@mx.hub.example")
            found = run(check_recipient(STRANGER, path, DIRECTORY, RULES, "mx.hub.example"))
            assert [account.path.local for account in found.accounts] == ["bob"]
        alice = parse_path("alice@mx.hub.example")
        with pytest.raises(Refusal):
            run(check_recipient(STRANGER, alice, DIRECTORY, RULES, "mx.hub.example"))
        hosted = run(check_recipient(STRANGER, at("alice"), DIRECTORY, RULES, "hub.example"))
        assert [account.path.local for account in hosted.accounts] == ["alice"]

    def test_literal_domain(self) -> None:
        """Our address stands for the domain that the operator says, or for postmaster's alone."""
        assert refused(STRANGER, "alice@[203.0.113.5]") == "550 5.1.1"
        rules = Rules(addresses=RULES.addresses, literal_domain="hub.example")
        path = parse_path("alice@[203.0.113.5]")
        [account] = run(check_recipient(STRANGER, path, DIRECTORY, rules)).accounts
        assert account.path.local == "alice"

    def test_refused(self) -> None:
        """Unknown and disabled mailboxes are told apart, also to our own users."""
        for client in (STRANGER, USER):
            assert refused(client, "nobody@hub.example") == "550 5.1.1"
            assert refused(client, "gone@hub.example") == "550 5.2.1"


def sender(client: Client, path: Path, rules: Rules = RULES) -> str:
    """What MAIL is answered."""
    try:
        run(check_sender(client, path, DIRECTORY, rules))
    except Refusal as refusal:
        return f"{refusal.reply.code} {refusal.reply.status}"
    return "ok"


class TestSenders:
    @pytest.mark.parametrize(
        ("text", "verdict"),
        [
            ("alice@hub.example", "ok"),
            ("Alice+lists@hub.example", "ok"),
            ("team@hub.example", "ok"),
            ("", "ok"),
            ("bob@hub.example", "550 5.7.1"),
            ("carol@elsewhere.example", "550 5.7.1"),
            ("nobody@hub.example", "550 5.7.1"),
            ("alice@[203.0.113.5]", "550 5.7.1"),
            ("postmaster", "501 5.1.7"),
        ],
    )
    def test_own(self, text: str, verdict: str) -> None:
        """One who has logged in sends as himself, or as nobody; on every port."""
        assert sender(USER, parse_path(text)) == verdict
        assert sender(ALICE, parse_path(text)) == verdict

    def test_not_enforced(self) -> None:
        """The operator may trust users with other senders."""
        assert sender(USER, parse_path("x@elsewhere.example"), Rules(own_senders=False)) == "ok"

    def test_stranger(self) -> None:
        """Anybody may write to us as anybody: that is for SPF and DKIM to judge."""
        for text in ("x@elsewhere.example", "alice@hub.example"):
            assert sender(STRANGER, parse_path(text)) == "ok"
        assert sender(STRANGER, NULL) == "ok"
        assert sender(STRANGER, parse_path("postmaster")) == "501 5.1.7"

    def test_submission_needs_login(self) -> None:
        """Nobody submits without a login, trusted network or not (RFC 6409 §4.3)."""
        for address in ("192.0.2.1", "198.51.100.7"):
            client = Client(address, 1, submission=True)
            assert sender(client, NULL) == "530 5.7.0"


class TestReasons:
    """Every yes says why, and names the line that decides."""

    @pytest.mark.parametrize(
        ("client", "rules", "verdict"),
        [
            (STRANGER, RULES, Verdict("sender: any, of one who has not logged in")),
            (USER, RULES, Verdict("sender: an address of alice@hub.example", OWN_SENDERS)),
            (
                USER,
                Rules(own_senders=False),
                Verdict("sender: any, of those who have logged in", OWN_SENDERS),
            ),
        ],
    )
    def test_senders(self, client: Client, rules: Rules, verdict: Verdict) -> None:
        """Why a reverse-path was allowed."""
        assert run(check_sender(client, at("alice"), DIRECTORY, rules)) == verdict
        assert run(check_sender(client, NULL, DIRECTORY, rules)).rule is None

    @pytest.mark.parametrize(
        ("client", "path", "what", "ruled"),
        [
            (STRANGER, at("alice"), "<alice@hub.example>: is alice@hub.example", False),
            (STRANGER, at("team"), "<team@hub.example>: stands for 2 recipients", False),
            (
                USER,
                Path("x", "far.example"),
                "<x@far.example>: relayed, as alice@hub.example has logged in",
                False,
            ),
            (
                Client("198.51.100.7", 1),
                Path("x", "far.example"),
                "<x@far.example>: relayed, as 198.51.100.7 is in 198.51.100.0/24",
                True,
            ),
        ],
    )
    def test_recipients(self, client: Client, path: Path, what: str, ruled: bool) -> None:
        """Why a forward-path was, and what it stands for."""
        expansion = run(check_recipient(client, path, DIRECTORY, RULES))
        rule = TRUSTED if ruled else None
        assert recipient_verdict(client, path, expansion, RULES) == Verdict(what, rule)
