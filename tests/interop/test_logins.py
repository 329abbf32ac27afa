"""Logins by other implementations of SASL, with passwords that quoting rules trip over."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import socket
import ssl
import struct
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhub.config.certificate import authority
from tests.interop.conftest import call, program
from tests.interop.peers import PASSWORD, Twistd, home

pytestmark = pytest.mark.interop

PASSWORDS = {
    "space": "two  words",
    "edges": " spaces at both ends ",
    "quote": "a\"b'c`d",
    "hash": "#1 of; all [them]",
    "backslash": "C:\\new\\table\\",
    "percent": "%40 %n ${HOME} $1 &amp; a=b:c",
    "utf8": "pässwörd – €100",
    "cyrillic": "пароль",
    "long": "0123456789" * 20,
    "braces": "{5}(x) *%~",
}


class Site:
    """A hub whose every account is called after the kind of password it has."""

    def __init__(self, place: Path) -> None:
        made = authority(str(place / "tls"), time.time(), ("localhost", "127.0.0.1"))
        self.ca = made.ca
        services = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
        self.hub = Twistd(
            place / "hub", services=services, certificates=f"{made.files.chain} {made.files.key}"
        )
        for name, password in PASSWORDS.items():
            self.hub.add(name, password)
        self.ann = self.hub.add("ann")

    @property
    def ports(self) -> dict[str, int]:
        return self.hub.ports

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    def imap(self, address: str, password: str) -> imaplib.IMAP4:
        """Log in with literals, in which every octet stands for itself."""
        client = imaplib.IMAP4("localhost", self.ports["imap"])
        client.literal = password.encode()  # type: ignore[assignment]  # it is octets
        client.state = "NONAUTH"
        status, data = client._simple_command("LOGIN", f'"{address}"')
        if status != "OK":
            raise imaplib.IMAP4.error(data)
        client.state = "AUTH"
        return client


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with home("logins") as place, contextlib.ExitStack() as stack:
        made = Site(place)
        made.hub.start()
        stack.callback(made.hub.stop)
        yield made


every_password = pytest.mark.parametrize("name", PASSWORDS)


# ---- Passwords -------------------------------------------------------------------------------


@every_password
def test_libraries(site: Site, name: str) -> None:
    """Literals, quoted strings, PLAIN, LOGIN, USER and PASS: the same password in each."""
    address, password = f"{name}@hub.example", PASSWORDS[name]
    site.imap(address, password).logout()
    if password.isascii():
        imap = imaplib.IMAP4("localhost", site.ports["imap"])
        imap.login(address, password)
        imap.logout()
    imap = imaplib.IMAP4("localhost", site.ports["imap"])
    response = f"\0{address}\0{password}".encode()
    imap.authenticate("PLAIN", lambda _: response)
    imap.logout()
    with smtplib.SMTP("localhost", site.ports["submission"]) as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH", "PLAIN " + b64encode(response).decode())[0] == 235
    with smtplib.SMTP_SSL("localhost", site.ports["submissions"], context=site.context()) as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH", "LOGIN " + b64encode(address.encode()).decode())[0] == 334
        assert smtp.docmd(b64encode(password.encode()).decode())[0] == 235
    pop = poplib.POP3("localhost", site.ports["pop3"])
    pop.user(address)
    pop.pass_(password)
    pop.quit()


@every_password
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", ""])
def test_curl(site: Site, name: str, mechanism: str) -> None:
    """curl, with the mechanism it is told or the one it chooses."""
    curl = program("curl")
    password = PASSWORDS[name].replace("\\", "\\\\").replace('"', '\\"')
    for url in (
        f"imaps://localhost:{site.ports['imaps']}/",
        f"pop3s://localhost:{site.ports['pop3s']}/",
    ):
        settings = f'user = "{name}@hub.example:{password}"\ncacert = "{site.ca}"\nurl = "{url}"\n'
        if mechanism:
            settings += f'login-options = "AUTH={mechanism}"\n'
        call(curl, "-sS", "-K", "-", stdin=settings.encode())


@every_password
def test_mbsync(site: Site, tmp_path: Path, name: str) -> None:
    """Mbsync logs in, and sees the mailboxes."""
    mbsync = program("mbsync")
    (tmp_path / "Mail").mkdir()
    (tmp_path / "secret").write_text(PASSWORDS[name] + "\n", encoding="utf-8")
    (tmp_path / "rc").write_text(
        f"""
IMAPAccount hub
Host localhost
Port {site.ports["imaps"]}
User {name}@hub.example
PassCmd "cat {tmp_path}/secret"
SSLType IMAPS
CertificateFile {site.ca}
SystemCertificates no

IMAPStore far
Account hub

MaildirStore near
Path {tmp_path}/Mail/
Inbox {tmp_path}/Mail/INBOX

Channel all
Far :far:
Near :near:
""",
        encoding="utf-8",
    )
    assert b"INBOX" in call(mbsync, "-c", str(tmp_path / "rc"), "-l", "all")


# ---- SCRAM by others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        ("PLAIN", ()),
        ("LOGIN", ()),
        ("SCRAM-SHA-256", ("--no-cb",)),
        ("SCRAM-SHA-256-PLUS", ()),
    ],
)
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(site: Site, protocol: str, mechanism: str, options: tuple[str, ...]) -> None:
    """GNU SASL over GnuTLS agrees on every mechanism, channel binding included."""
    gsasl = program("gsasl")
    port = site.ports["imap" if protocol == "imap" else "submission"]
    for name in ("ann", "space", "utf8", "quote"):
        said = call(
            gsasl, f"--{protocol}", f"--connect=localhost:{port}", "--starttls",
            f"--x509-ca-file={site.ca}", "-m", mechanism, "-a", f"{name}@hub.example",
            "-p", PASSWORDS.get(name, PASSWORD), *options,
        )  # fmt: skip
        assert b"Client authentication finished (server trusted)" in said


def test_gsasl_wrong_password(site: Site) -> None:
    """A wrong proof is refused."""
    gsasl = program("gsasl")
    command = [
        gsasl, "--imap", f"--connect=localhost:{site.ports['imap']}", "--starttls",
        f"--x509-ca-file={site.ca}", "-m", "SCRAM-SHA-256-PLUS", "-a", "ann@hub.example",
        "-p", "wrong",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert result.returncode != 0
    assert b"NO [AUTHENTICATIONFAILED]" in result.stdout


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "plain", "login"])
def test_msmtp(site: Site, tmp_path: Path, mechanism: str) -> None:
    """Msmtp's SCRAM is GNU SASL's too, but for the binding."""
    msmtp = program("msmtp")
    config = tmp_path / "msmtprc"
    (tmp_path / "secret").write_text(PASSWORD + "\n", encoding="utf-8")
    config.write_text(
        f"account default\nhost localhost\nport {site.ports['submission']}\ntls on\n"
        f"tls_trust_file {site.ca}\nauth {mechanism}\nuser {site.ann}\nfrom {site.ann}\n"
        f"passwordeval cat {tmp_path}/secret\n",
        encoding="utf-8",
    )
    config.chmod(0o600)
    subject = f"msmtp {mechanism}"
    mail = f"From: {site.ann}\nTo: {site.ann}\nSubject: {subject}\n\nHi\n".encode()
    call(msmtp, "-C", str(config), site.ann, stdin=mail)
    site.hub.message(site.ann, subject)


# ---- The life of an account --------------------------------------------------------------------


def test_password_changed(site: Site) -> None:
    """A new password is in force at the next login, for every mechanism; the old one is not."""
    address = site.hub.add("changing", "first")
    site.imap(address, "first").logout()
    site.hub.operate("account", "password", address, "--password", "-", stdin="second one\n")
    with pytest.raises(imaplib.IMAP4.error):
        site.imap(address, "first")
    site.imap(address, "second one").logout()
    gsasl = program("gsasl")
    said = call(
        gsasl, "--imap", f"--connect=localhost:{site.ports['imap']}", "--starttls",
        f"--x509-ca-file={site.ca}", "-m", "SCRAM-SHA-256-PLUS", "-a", address, "-p", "second one",
    )  # fmt: skip
    assert b"server trusted" in said


def test_disabled(site: Site) -> None:
    """A disabled account lets nobody in and takes no mail; an enabled one does again."""
    address = site.hub.add("absent", PASSWORD)
    site.hub.operate("account", "disable", address)
    with pytest.raises(imaplib.IMAP4.error):
        site.imap(address, PASSWORD)
    with smtplib.SMTP("localhost", site.ports["smtp"]) as client:
        client.ehlo()
        client.mail("a@far.example")
        assert client.rcpt(address)[0] == 550
    site.hub.operate("account", "enable", address)
    site.imap(address, PASSWORD).logout()


def test_throttled_and_not_locked_out(site: Site) -> None:
    """Whoever has just succeeded from an address is let in at once amid wrong logins from there."""
    address = site.hub.add("throttled", PASSWORD)
    site.imap(address, PASSWORD).logout()
    guessing = [socket.create_connection(("localhost", site.ports["imap"])) for _ in range(30)]
    for number, guess in enumerate(guessing):
        assert guess.recv(1000).startswith(b"* OK")
        guess.sendall(f'a LOGIN {address} "guess {number}"\r\n'.encode())
    guessing[0].settimeout(10)
    assert guessing[0].recv(1000).startswith(b"a NO [AUTHENTICATIONFAILED]")
    for number in range(3):
        began = time.monotonic()
        site.imap(address, PASSWORD).logout()
        assert time.monotonic() - began < 2, number
        began = time.monotonic()
        with smtplib.SMTP("localhost", site.ports["submission"]) as smtp:
            smtp.login(address, PASSWORD)
        assert time.monotonic() - began < 2, number
    guessing[-1].settimeout(0.2)
    with pytest.raises(TimeoutError):  # the last guess is put off still
        guessing[-1].recv(1000)
    for guess in guessing:  # by RST: a hub that stops would wait for their answers
        guess.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        guess.close()
