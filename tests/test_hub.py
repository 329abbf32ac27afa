"""The hub's life: how it starts, takes and gives mail, reloads and stops."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs

from mailhub.accounts.base import FRESH_SECONDS
from mailhub.accounts.database import Accounts
from mailhub.accounts.password import secret
from mailhub.assembly import Parts
from mailhub.config.certificate import self_signed
from mailhub.config.endpoint import Endpoint
from mailhub.config.load import ConfigError, filled
from mailhub.config.settings import Settings
from mailhub.config.values import CertificateFiles
from mailhub.hub import STOPPING, CannotStart, Hub
from mailhub.mail.address import NULL, parse_address
from mailhub.net.tls import CertificateMap
from mailhub.policy.route import Exchange, Smarthost
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Accepted, Filed
from mailhub.queue.journeys import Journeys
from mailhub.queue.refusals import Refusals, Sought
from tests.hubs import ALICE, CHEAP, PASSWORD, World, deliver, populated, settings


@pytest.fixture
def world(tmp_path: FilePath) -> Iterator[World]:
    made = populated(tmp_path / "state")
    yield made
    if made.hub.running:
        made.stop()


class TestJourney:
    """A message from one protocol to the next."""

    def test_smtp_to_imap_and_pop3(self, world: World) -> None:
        """What SMTP takes IMAP and POP3 give, in one process."""
        world.start()
        assert "250 2.0.0 Ok, queued as" in deliver(world, "hello")
        imap = world.call(143)
        imap.say()
        heard = imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        assert "* 1 EXISTS" in heard
        assert "hello\r\n" in imap.say("c FETCH 1 (BODY.PEEK[TEXT])\r\n")
        pop = world.call(110)
        pop.say()
        pop.say(f"USER {ALICE}\r\n")
        assert pop.say(f"PASS {PASSWORD}\r\n").startswith("+OK")
        assert "hello\r\n.\r\n" in pop.say("RETR 1\r\n")

    def test_an_idling_client_hears_at_once(self, world: World) -> None:
        """EXISTS leaves in the turn in which the message is filed: no time passes."""
        world.start()
        imap = world.call(143)
        imap.say()
        imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\nc IDLE\r\n')
        deliver(world, "news")
        assert "* 1 EXISTS\r\n" in imap.say()

    def test_a_stranger_cannot_relay(self, world: World) -> None:
        """Never an open relay."""
        world.start()
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        assert "550 5.7.1" in peer.say("RCPT TO:<x@elsewhere.example>\r\n")

    def test_what_is_refused_can_be_found(self, world: World) -> None:
        """Who was refused what, and which line made it so; guesses without end are counted."""
        world.start()
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        peer.say("RCPT TO:<x@elsewhere.example>\r\n")
        for number in range(30):
            if number % 9 == 0:
                peer = world.call(25)
                peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
            peer.say(f"RCPT TO:<guess{number}@hub.example>\r\n")
        world.reactor.pump([1.0, 1.0, 1.0])
        book = Refusals(str(world.state))
        [denied] = book.find(Sought(recipient="x@elsewhere.example"))
        assert denied.reply == "550 5.7.1 Relaying denied"
        assert denied.rule == "[smtp] trusted networks (default)"
        assert len(book.find(Sought(sender="s@far.example"))) == 21
        world.stop()
        assert sum(it.count for it in book.find(Sought())) == 31

    def test_accounts_are_usable_at_once(self, world: World) -> None:
        """What another process adds to the database is there for the next command."""
        world.start()
        peer = world.call(25)
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        assert "550 5.1.1" in peer.say("RCPT TO:<bob@hub.example>\r\n")
        with Accounts(world.settings.hub.accounts) as accounts:
            kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
            accounts.add_account(parse_address("bob@hub.example"), kept)
        world.reactor.advance(FRESH_SECONDS * 2)
        assert "250 2.1.5" in peer.say("RCPT TO:<bob@hub.example>\r\n")

    def test_mail_outlives_a_stop(self, world: World, tmp_path: FilePath) -> None:
        """A second hub on the same state finds what the first one took."""
        world.start()
        deliver(world, "kept")
        world.stop()
        again = World(world.state)
        again.start()
        imap = again.call(143)
        imap.say()
        assert "* 1 EXISTS" in imap.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        again.stop()


class Stuck(StringTransport):
    """A client's end that takes 64 KiB, and then reads no more."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > 65_536 and self.producer is not None:
            self.producer.pauseProducing()


class TestUnread:
    """A client that asks for everything and reads nothing."""

    def test_costs_little(self, world: World) -> None:
        """It holds a bounded amount, is not read from, does not run, and others are served."""
        world.start()
        ann = world.call(143)
        ann.say()
        ann.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\n')
        text = "Subject: x\r\n\r\n" + "x" * 60_000
        for _ in range(20):
            ann.say(f"a APPEND INBOX {{{len(text)}+}}\r\n{text}\r\n")
        stuck = world.call(143, Stuck)
        stuck.say_on(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\n')
        sent = 0
        while stuck.transport.producerState == "producing" and sent < 2000:
            stuck.say_on("c FETCH 1:* BODY.PEEK[]\r\n" * 100)
            sent += 100
        assert sent < 2000, "it is not read from any more"
        held = len(stuck.transport.value())
        assert held < 4 * 65_536
        now = world.reactor.seconds()
        assert [it for it in world.reactor.getDelayedCalls() if it.getTime() <= now] == []
        world.reactor.pump([0.0] * 50)
        assert len(stuck.transport.value()) == held
        assert "a OK" in ann.say("a SELECT INBOX\r\n")
        stuck.transport.clear()
        stuck.protocol.resumeProducing()
        world.reactor.pump([0.0, 0.0])
        assert 0 < len(stuck.transport.value()) < 4 * 65_536


class TestStop:
    """How it ends."""

    def test_farewells(self, world: World) -> None:
        """Each protocol says farewell in its own words (RFC 5321 §3.8, RFC 3501 §7.1.5)."""
        world.start()
        smtp, imap = world.call(25), world.call(143)
        smtp.say()
        imap.say()
        world.stop()
        assert smtp.say().startswith("421 ")
        assert imap.say().startswith("* BYE ")

    def test_nothing_is_left(self, world: World) -> None:
        """After a stop no call is pending."""
        world.start()
        deliver(world, "x")
        world.stop()
        assert [call for call in world.reactor.getDelayedCalls() if call.active()] == []


class TestStart:
    """What keeps a hub from starting."""

    @pytest.mark.parametrize(
        ("error", "line"),
        [
            (
                CannotListenError("127.0.0.1", 25, OSError(98, "Address already in use")),
                "cannot listen on 127.0.0.1, port 25: Address already in use",
            ),
            (
                CannotListenError("", 25, OSError(13, "Permission denied")),
                "cannot listen on *, port 25: Permission denied",
            ),
            (
                CannotListenError(None, b"/run/x", "Cannot acquire lock"),
                "cannot listen on /run/x: Cannot acquire lock",
            ),
        ],
    )
    def test_a_port_that_cannot_be_had(
        self, world: World, error: Exception, line: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One line says which port, and why."""

        def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(world.reactor, "listenTCP", refuse)
        with pytest.raises(CannotStart) as caught:
            world.hub.privilegedStartService()
        assert str(caught.value) == line
        assert len(f"1 mailhub.hub.CannotStart: {line}") <= 100, "all that twistd passes on"

    def test_a_socket_that_is_not_there(self, tmp_path: FilePath) -> None:
        """A hub that is to listen on a socket of systemd's, but was started without."""
        made = World(tmp_path)
        where = (Endpoint(given="systemd:domain=INET:index=0"),)
        with pytest.raises(CannotStart) as caught:
            Hub(filled(made.settings, {"listen.smtp": where}), made.surroundings())
        assert str(caught.value) == (
            "[listen] smtp = systemd:domain=INET:index=0: systemd has handed no such socket over"
        )

    def test_a_control_socket_that_cannot_be_had(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That is told in one line, too."""

        def refuse(*_: object, **__: object) -> None:
            raise CannotListenError(None, b"/x/control", OSError(98, "Address already in use"))

        monkeypatch.setattr(world.reactor, "listenUNIX", refuse)
        world.hub.privilegedStartService()
        with pytest.raises(CannotStart, match="cannot listen on /x/control: Address already"):
            world.hub.startService()

    def test_a_state_that_cannot_be_used(self, tmp_path: FilePath) -> None:
        """A file where the state directory should be is told, not traced."""
        made = World(tmp_path)
        (tmp_path / "spool").write_bytes(b"")
        made.hub.privilegedStartService()
        with pytest.raises(CannotStart) as caught:
            made.hub.startService()
        assert str(tmp_path / "spool") in str(caught.value)

    def test_accounts_that_cannot_be_read(self, tmp_path: FilePath) -> None:
        """Nor is a database that is none."""
        made = World(tmp_path)
        (tmp_path / "accounts.db").write_bytes(b"no database " * 100)
        made.hub.privilegedStartService()
        with pytest.raises(CannotStart, match=r"accounts\.db: "):
            made.hub.startService()

    def test_one_hub_at_a_time(self, tmp_path: FilePath) -> None:
        """A state directory belongs to one hub, until that one has stopped."""
        first, second = World(tmp_path), World(tmp_path)
        first.start()
        with pytest.raises(CannotStart, match="is in use by another mailhub"):
            second.start()
        first.stop()
        third = World(tmp_path)
        third.start()
        third.stop()

    @pytest.mark.parametrize(("both", "host"), [(True, "::"), (False, "0.0.0.0")])
    def test_every_address(self, tmp_path: FilePath, both: bool, host: str) -> None:
        """A bare port is one socket for both families, or IPv4's where there is no such thing."""
        made = World(tmp_path)
        everywhere = filled(made.settings, {"listen.smtp": (Endpoint("", 25),)})
        Hub(everywhere, replace(made.surroundings(), both_families=both)).privilegedStartService()
        [interface] = [it[3] for it in made.reactor.tcpServers if it[0] == 25]
        assert interface == host


class TestReload:
    """SIGHUP."""

    def test_limits_count_for_new_connections(self, world: World) -> None:
        """A new message limit is announced to the next client; one in the middle is let be."""
        world.start()
        before = world.call(25)
        before.say()
        world.settings = settings(world.state, "[smtp]\nmessage limit = 1M\n")
        assert world.hub.reload()
        assert "SIZE 1048576" in world.call(25).say("EHLO client.example\r\n")
        assert "SIZE 52428800" in before.say("EHLO client.example\r\n")

    def test_a_bad_file_changes_nothing(self, world: World) -> None:
        """The old configuration stays in force."""
        world.start()

        def bad() -> Settings:
            raise ConfigError("mailhub.ini", [])

        world.hub._load = bad
        assert not world.hub.reload()
        assert "SIZE 52428800" in world.call(25).say("EHLO client.example\r\n")

    def test_connections_may_be_limited_while_it_runs(self, world: World) -> None:
        """The turnstile obeys at once."""
        world.start()
        first = world.call(25)
        assert first.say().startswith("220")
        world.settings = settings(world.state, "[limits]\nconnections per address = 1\n")
        assert world.hub.reload()
        assert world.call(25).say().startswith("421 ")

    def test_what_waits_for_the_next_start(self, world: World) -> None:
        """Such a key is named in the log, each time, and nothing of it is applied by halves."""
        world.start()
        world.settings = filled(
            world.settings, {"hub.hostname": "other.example", "smtp.size": 1 << 20}
        )
        for _ in range(2):
            with capturedLogs() as logs:
                assert world.hub.reload()
            warned = [log["key"] for log in logs if "key" in log]
            assert warned == ["[hub] hostname"]
            heard = world.call(25).say("EHLO client.example\r\n")
            assert heard.startswith("220 hub.example ")
            assert "SIZE 1048576" in heard

    def test_domains_and_routes(self, world: World) -> None:
        """A new route is asked for the next attempt, and its mail goes there."""
        world.start()
        parts = world.hub.parts
        assert parts is not None
        far = parse_address("x@far.example")
        assert isinstance(parts._route(NULL, far), Exchange)
        world.settings = settings(world.state, "[route out]\nhost = smtp.example:587\n")
        assert world.hub.reload()
        hop = parts._route(NULL, far)
        assert isinstance(hop, Smarthost)
        assert (hop.host, hop.port) == ("smtp.example", 587)

    def test_before_the_start(self, world: World) -> None:
        """A hub that is not up has nothing to reload."""
        assert not world.hub.reload()

    def test_control(self, world: World) -> None:
        """The command line may ask for a reload, and wakes the queue runner."""
        world.start()
        [(_, factory, *_)] = world.reactor.unixServers
        assert factory.actions["reload"]({}) == {"reloaded": True}
        assert factory.actions["wake"]({}) == {}

    def test_heard_before_anything_is_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the command line changes while a hub starts is read by it, or asked of it."""
        heard = []

        def parts(*given: Any) -> Parts:
            heard.append(len(world.reactor.unixServers))
            return Parts(*given)

        monkeypatch.setattr("mailhub.hub.Parts", parts)
        world.start()
        assert heard == [1]
        assert len(world.reactor.unixServers) == 1

    def test_heard_until_all_is_written(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An order amid a stop is refused, and neither taken nor written where nobody looks."""
        world.start()
        [(_, factory, *_)] = world.reactor.unixServers
        order = {"order": {"what": "suspend", "provider": "far.example"}}
        assert factory.actions["provider"](order)["problem"] != STOPPING
        assert world.hub.parts is not None
        answers: list[Any] = []
        stop = world.hub.parts.stop

        async def stopping() -> None:
            answers.append(factory.actions["provider"](order))
            await stop()
            assert open_, "the socket outlives what is written"
            answers.append(factory.actions["provider"](order))

        port = world.hub._control._port  # type: ignore[union-attr]
        open_ = [port]
        monkeypatch.setattr(port, "stopListening", open_.clear)
        monkeypatch.setattr(world.hub.parts, "stop", stopping)
        world.stop()
        assert answers == [{"problem": STOPPING}] * 2
        assert not open_

    def test_not_heard_after_a_start_in_vain(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hub that cannot start leaves no socket that nobody answers."""

        def parts(*_: object) -> Parts:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("mailhub.hub.Parts", parts)
        closed: list[str] = []
        listen = world.reactor.listenUNIX

        def listening(*given: Any, **words: Any) -> Any:
            port = listen(*given, **words)
            monkeypatch.setattr(port, "stopListening", lambda: closed.append("control"))
            return port

        monkeypatch.setattr(world.reactor, "listenUNIX", listening)
        world.hub.privilegedStartService()
        with pytest.raises(CannotStart, match="Input/output error"):
            world.hub.startService()
        assert closed == ["control"]


class TestCertificates:
    """TLS, from the first start to a renewal."""

    @pytest.fixture
    def made(self, tmp_path: FilePath) -> World:
        """A hub that offers TLS."""
        world = World(tmp_path / "state")
        world.settings = filled(world.settings, {"tls.offered": True})
        return world

    def begin(self, world: World) -> CertificateMap:
        """Start a hub with these settings; its certificates."""
        world.hub = Hub(world.settings, world.surroundings(), lambda: world.settings)
        world.start()
        certificates = world.hub._certificates
        assert certificates is not None
        return certificates

    def given(self, place: FilePath, name: str) -> CertificateFiles:
        files, _ = self_signed(str(place), [name], 1_800_000_000.0)
        return files

    def test_none_is_given(self, made: World) -> None:
        """The first start makes one, and says so; the next one finds it."""
        with capturedLogs() as logs:
            first = self.begin(made).certificates
        assert [log["path"] for log in logs if "path" in log] == [first[0].files.chain]
        assert first[0].names == {"hub.example"}
        peer = made.call(143)
        assert "STARTTLS" in peer.say()
        made.stop()
        with capturedLogs() as logs:
            assert self.begin(made).certificates[0].chain == first[0].chain
        assert not [log for log in logs if "path" in log]
        made.stop()

    def test_one_is_given(self, made: World, tmp_path: FilePath) -> None:
        """It is read while we may still be root, and none is made."""
        files = self.given(tmp_path / "given", "given.example")
        made.settings = filled(made.settings, {"tls.certificates": (files,)})
        assert self.begin(made).certificates[0].names == {"given.example"}
        assert not (made.state / "tls").exists()
        made.stop()

    def test_a_bad_one(self, made: World, tmp_path: FilePath) -> None:
        """It is one line, before a port is bound."""
        files = CertificateFiles(str(tmp_path / "x.pem"), str(tmp_path / "x.key"))
        bad = filled(made.settings, {"tls.certificates": (files,)})
        with pytest.raises(CannotStart, match=r"x\.pem: No such file or directory"):
            Hub(bad, made.surroundings()).privilegedStartService()
        assert made.reactor.tcpServers == []

    def test_another(self, made: World, tmp_path: FilePath) -> None:
        """A reload takes other files, and goes back to our own where none are named."""
        certificates = self.begin(made)
        own = certificates.certificates[0].chain
        files = self.given(tmp_path / "given", "given.example")
        made.settings = filled(made.settings, {"tls.certificates": (files,)})
        assert made.hub.reload()
        assert certificates.certificates[0].names == {"given.example"}
        (tmp_path / "given" / "self-signed.pem").write_text("no certificate")
        assert not made.hub.reload()
        assert certificates.certificates[0].names == {"given.example"}
        made.settings = filled(made.settings, {"tls.certificates": ()})
        assert made.hub.reload()
        assert certificates.certificates[0].chain == own
        made.stop()


def test_a_journey_is_kept(tmp_path: FilePath) -> None:
    """What happened to a message is on disk a moment later: who brought it, where it lies."""
    world = populated(tmp_path / "state")
    world.start()
    heard = deliver(world, "Hello")
    [queue_id] = re.findall(r"queued as (\w+)", heard)
    world.reactor.advance(1.0)
    world.stop()
    journeys = Journeys(str(world.state), now=0.0)
    [part] = journeys.load(QueueId(queue_id))
    accepted, filed = part.events
    assert isinstance(accepted, Accepted)
    assert (accepted.sender, accepted.subject) == ("s@far.example", "x")
    assert accepted.verdicts[0] == ("sender: any, of one who has not logged in", "")
    assert filed == Filed(filed.at, 0, "alice@hub.example", "INBOX")


class TestSharing:
    """Mailboxes shared between accounts, in a whole hub."""

    def test_posted_and_seen(self, world: World) -> None:
        """Mail to a subaddress is filed where anyone may post, and a visitor hears of it."""
        with Accounts(world.settings.hub.accounts) as accounts:
            kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
            accounts.add_account(parse_address("bob@hub.example"), kept)
        world.start()
        ann, bob = world.call(143), world.call(143)
        ann.say()
        bob.say()
        ann.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb CREATE Lists\r\n')
        assert "c OK" in ann.say("c SETACL Lists anyone lrp\r\n")
        bob.say(f'a LOGIN bob@hub.example "{PASSWORD}"\r\n')
        heard = bob.say('b LIST "" "Other Users/*" RETURN (MYRIGHTS)\r\n')
        assert '"Other Users/alice@hub.example/Lists"' in heard
        assert bob.say('c SELECT "Other Users/alice@hub.example/Lists"\r\n').endswith(
            "c OK [READ-ONLY] Select completed\r\n"
        )
        bob.say("d IDLE\r\n")
        peer = world.call(25)
        peer.say()
        peer.say("EHLO client.example\r\nMAIL FROM:<s@far.example>\r\n")
        peer.say("RCPT TO:<alice+lists@hub.example>\r\nDATA\r\n")
        assert "250 2.0.0" in peer.say("Subject: posted\r\n\r\nx\r\n.\r\n")
        assert "* 1 EXISTS" in bob.say()
        ann.say("d SETACL Lists anyone -r\r\n")
        assert "* BYE [UNAVAILABLE] You may not read this mailbox" in bob.say()

    def test_every_command(self, world: World) -> None:
        """A visitor can do with a shared mailbox whatever can be done with one's own."""
        with Accounts(world.settings.hub.accounts) as accounts:
            kept = secret(PASSWORD, CHEAP, random.Random(3).randbytes)
            accounts.add_account(parse_address("bob@hub.example"), kept)
        world.start()
        ann, bob = world.call(143), world.call(143)
        ann.say()
        bob.say()
        ann.say(f'a LOGIN {ALICE} "{PASSWORD}"\r\n')
        text = "Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\nHello there.\r\n"
        for _ in range(3):
            ann.say(f"a APPEND INBOX (\\Seen) {{{len(text)}+}}\r\n{text}\r\n")
        ann.say("a SETACL INBOX bob@hub.example lrswitekx\r\n")
        bob.say(f'a LOGIN bob@hub.example "{PASSWORD}"\r\n')
        name = '"Other Users/alice@hub.example"'
        for command in (
            f"STATUS {name} (MESSAGES UNSEEN SIZE DELETED-STORAGE HIGHESTMODSEQ MAILBOXID)",
            f"SELECT {name} (CONDSTORE)",
            "SEARCH UNSEEN TEXT there",
            "SEARCH RETURN (MIN COUNT) BODY there SUBJECT hi",
            "SORT (SUBJECT) UTF-8 ALL",
            "THREAD REFERENCES UTF-8 UNSEEN",
            "FETCH 1:* (FLAGS MODSEQ ENVELOPE BODYSTRUCTURE PREVIEW EMAILID THREADID SAVEDATE)",
            "FETCH 1 (BODY[] BINARY[1] BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
            "UID STORE 2 (UNCHANGEDSINCE 99999999999999999) +FLAGS (\\Seen \\Flagged label)",
            "SEARCH SEEN",
            f"COPY 1 {name}",
            "MOVE 2 INBOX",
            f"GETQUOTAROOT {name}",
            f'SETMETADATA {name} (/private/comment "x")',
            f'CREATE {name[:-1]}/New"',
            f'RENAME {name[:-1]}/New" {name[:-1]}/Newer"',
            f'DELETE {name[:-1]}/Newer"',
            "UNSELECT",
            f"SELECT {name}",
            "STORE 1 +FLAGS.SILENT (\\Deleted)",
            "EXPUNGE",
            "CLOSE",
        ):
            heard = bob.say(f"x {command}\r\n")
            assert "x OK" in heard, f"{command}: {heard}"
            if command == "SEARCH SEEN":
                assert "* SEARCH 1 2" in heard
        # Her third message, and the copy of the first, which she has not seen
        assert "* SEARCH 1\r\n" in ann.say("b SELECT INBOX\r\nc SEARCH SEEN\r\n")
