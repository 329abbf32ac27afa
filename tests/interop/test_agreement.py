"""ENVELOPE, BODYSTRUCTURE and parts as Dovecot tells them of the same messages.

Sound messages must agree in all.  For samples that break the rules `DIFFERENT` names what
Dovecot sees differently, with the reason; docs/developer.md tells it for people.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.utils import format_datetime
from pathlib import Path

import pytest

from mailhub.imap.extract import small
from mailhub.imap.item import Kind, Octets
from mailhub.imap.section import Section
from mailhub.imap.structure import summary
from mailhub.mail.part import Part, parse
from tests.imap.test_structure import read
from tests.interop.peers import PASSWORD, home
from tests.interop.test_dovecot import Dovecot

pytestmark = pytest.mark.interop

SAMPLES = sorted((Path(__file__).parent.parent / "corpus" / "mime").glob("*.eml"))
GENERATED = 60
DIFFERENT = {
    "boundary_with_blanks": "blanks at the end of a boundary do not count (RFC 2046 §5.1.1)",
    "continuations_disordered": "continuations are joined where they can be (RFC 2231 §3)",
    "disposition_without_type": "an unknown disposition is an attachment (RFC 2183 §2.8)",
    "embedded_cut_by_delimiter": "a header section keeps the end of its last line",
    "empty_content_type": "rubbish means text/plain (RFC 2045 §5.2), not an empty type",
    "encoding_with_semicolon": "an encoding is its first token, whatever surrounds it",
    "long_boundary": "a boundary may have any length",
    "missing_semicolon": "what is meant is plain: nothing is lost",
    "type_without_subtype": "rubbish means text/plain (RFC 2045 §5.2)",
    "unquoted_blanks": "a name with blanks stays whole",
    "unquoted_equals_sign": "a boundary with an equals sign stays whole",
    "unterminated_quote": "what is meant is plain: nothing is lost",
}
"""Samples of which Dovecot 2.3 says something else, and why we do not."""
WORDS = ("Grüße", "report", "naïve", "budget", "日本語", "plain", 'quoted "text"', "a, b")


# ---- Messages --------------------------------------------------------------------------------


def letter(rng: random.Random, depth: int = 0) -> EmailMessage:
    """A sound message as mail programs make them: text, alternatives, attachments, forwards."""
    made = EmailMessage(policy=policy.SMTP)
    sender = rng.choice(WORDS).replace('"', "")
    made["From"] = f'"{sender}" <ann.{rng.randrange(9)}@hub.example>'
    made["To"] = ", ".join(f"p{n}@far.example" for n in range(rng.randrange(1, 4)))
    if rng.random() < 0.4:
        made["Cc"] = "Undisclosed Friends: bob@far.example, Carol <carol@far.example>;"
    if rng.random() < 0.3:
        made["Reply-To"] = "list@far.example"
    made["Subject"] = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 9)))
    made["Date"] = format_datetime(datetime(2026, 11, rng.randrange(1, 29), tzinfo=UTC))
    made["Message-ID"] = f"<{rng.randrange(10**9)}@hub.example>"
    if rng.random() < 0.5:
        made["In-Reply-To"] = f"<{rng.randrange(10**9)}@far.example>"
    text = "\n".join(rng.choice(WORDS) * rng.randrange(1, 20) for _ in range(rng.randrange(1, 9)))
    made.set_content(text + "\n", cte=rng.choice(["8bit", "quoted-printable", "base64"]))
    if rng.random() < 0.5:
        made.add_alternative(f"<p>{text}</p>\n", subtype="html")
    for _ in range(rng.randrange(3)):
        name = f"{rng.choice(WORDS)}.bin".replace('"', "")
        octets = rng.randbytes(rng.randrange(1, 300))
        made.add_attachment(octets, "application", "x-thing", filename=name)
    if depth < 2 and rng.random() < 0.4:
        made.add_attachment(letter(rng, depth + 1))
    return made


def generated() -> dict[str, bytes]:
    """Sound messages by names."""
    rng = random.Random(20261124)
    made = {f"letter {n}": letter(rng).as_bytes() for n in range(GENERATED)}
    digest = MIMEMultipart("digest", boundary="cut", policy=policy.SMTP)
    digest["Subject"] = "digest"
    for _ in range(2):
        part = EmailMessage(policy=policy.SMTP)
        part["Content-Type"] = "message/rfc822"
        part.set_payload([letter(rng, 2)])
        digest.attach(part)
    made["digest of letters"] = digest.as_bytes()
    return made


def crlf(octets: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", octets)


# ---- What Dovecot says -----------------------------------------------------------------------


def value(heard: bytes, at: int) -> tuple[object, int]:
    """One value, perhaps with NULs, and where it ends."""
    literal = re.compile(rb"~?\{(\d+)\}\r\n").match(heard, at)
    if literal is None:
        return read(heard, at)
    end = literal.end() + int(literal[1])
    return heard[literal.end() : end], end


class Asking:
    """A connection that gives back the values of FETCH as octets."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), 20)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self.command(b"LOGIN ann " + PASSWORD.replace(" ", "_").encode())
        self.command(b"SELECT INBOX")

    def command(self, text: bytes) -> bytes:
        """All that is said up to the tagged response."""
        self._socket.sendall(b"a " + text + b"\r\n")
        heard = b""
        while True:
            line = self._file.readline()
            if not line:
                self.close()
                self._connect()
                raise ConnectionError("it hung up")
            while (found := re.search(rb"\{(\d+)\}\r\n\Z", line)) is not None:
                line += self._file.read(int(found[1])) + self._file.readline()
            if line.startswith(b"a "):
                return heard + line
            heard += line

    def values(self, number: int, items: list[bytes]) -> dict[bytes, object]:
        """What FETCH says of one message, by item."""
        heard = self.command(b"FETCH %d (%b)" % (number, b" ".join(items)))
        found: dict[bytes, object] = {}
        at = heard.index(b"FETCH (") + len(b"FETCH (")
        while heard[at : at + 1] != b")":
            bracket = heard.find(b"[", at, heard.index(b" ", at))
            end = heard.index(b" ", at if bracket < 0 else heard.index(b"]", bracket))
            name = heard[at:end]
            found[name], at = value(heard, end + 1)
            at += heard.startswith(b" ", at)
        return found

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture(scope="module")
def messages() -> dict[str, bytes]:
    made = {path.stem: crlf(path.read_bytes()) for path in SAMPLES}
    return {**made, **generated()}


@pytest.fixture(scope="module")
def dovecot(messages: dict[str, bytes]) -> Iterator[Asking]:
    with home("agreement") as place:
        maildir = place / "mail"
        (maildir / "cur").mkdir(parents=True)
        for number, octets in enumerate(messages.values(), 1):
            (maildir / "cur" / f"{1_700_000_000 + number}.M{number}P1.x:2,S").write_bytes(octets)
        peer = Dovecot(place, maildir)
        peer.start()
        try:
            with contextlib.closing(Asking(peer.ports["imap"])) as asking:
                yield asking
        finally:
            peer.stop()


# ---- Agreement -------------------------------------------------------------------------------


def addresses(part: Part, prefix: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Part]]:
    """All parts with their numbers, as a client finds them in BODYSTRUCTURE."""
    if not part.is_multipart:
        yield (*prefix, 1), part
        return
    for number, child in enumerate(part.children, 1):
        yield (*prefix, number), child
        if child.is_multipart:
            yield from addresses(child, (*prefix, number))
        elif child.is_message:
            inner = child.children[0]
            yield from addresses(inner, (*prefix, number))


def wanted(tree: Part) -> list[Octets]:
    """Every section there is."""
    items = [
        Octets(b"BODY[HEADER]", Section(kind="HEADER")),
        Octets(b"BODY[TEXT]", Section(kind="TEXT")),
    ]
    for numbers, part in addresses(tree):
        name = b".".join(b"%d" % number for number in numbers)
        items.append(Octets(b"BODY[%b]" % name, Section(numbers)))
        items.append(Octets(b"BODY[%b.MIME]" % name, Section(numbers, "MIME")))
        if part.is_message:
            items.append(Octets(b"BODY[%b.HEADER]" % name, Section(numbers, "HEADER")))
            items.append(Octets(b"BODY[%b.TEXT]" % name, Section(numbers, "TEXT")))
        if not part.children:  # of others Dovecot decodes all that is in them
            items.append(Octets(b"BINARY[%b]" % name, Section(numbers), kind=Kind.BINARY))
            items.append(Octets(b"BINARY.SIZE[%b]" % name, Section(numbers), kind=Kind.SIZE))
    return items


def asked(item: Octets) -> bytes:
    return item.label.replace(b"BODY[", b"BODY.PEEK[").replace(b"BINARY[", b"BINARY.PEEK[")


def ours(octets: bytes, item: Octets) -> object:
    """What we say of an item."""
    return value(small(octets, [item]), len(item.label) + 1)[0]


def differences(dovecot: Asking, number: int, octets: bytes) -> Iterator[bytes]:
    """The items of a message of which Dovecot says something else."""
    made = summary(octets)
    facts = {
        b"ENVELOPE": made.envelope,
        b"BODY": made.body,
        b"BODYSTRUCTURE": made.bodystructure,
    }
    said = dovecot.values(number, list(facts))
    yield from (name for name, value in facts.items() if said[name] != read(value)[0])
    for item in wanted(parse(octets)):
        try:
            said = dovecot.values(number, [asked(item)])
        except ConnectionError:
            said = {}  # of some parts it cannot say anything
        if said != {item.label: ours(octets, item)}:
            yield item.label


def test_sound(dovecot: Asking, messages: dict[str, bytes]) -> None:
    """Of messages that keep the rules all is the same."""
    for number, (name, octets) in enumerate(messages.items(), 1):
        if name not in {path.stem for path in SAMPLES}:
            assert list(differences(dovecot, number, octets)) == [], name


def test_broken(dovecot: Asking, messages: dict[str, bytes]) -> None:
    """Of others it is the same but for those that are named above."""
    different = {
        path.stem
        for number, path in enumerate(SAMPLES, 1)
        if list(differences(dovecot, number, messages[path.stem]))
    }
    assert different == set(DIFFERENT)
