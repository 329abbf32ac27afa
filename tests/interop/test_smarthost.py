"""Smarthosts: another hub, and Postfix with Dovecot's SASL, behind every kind of door."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.peers import wait_for
from bench.postfix import Postfix, search_path
from mailhub.config.certificate import Authority, authority
from tests.interop.peers import PASSWORD, Twistd, free_ports, home, until

pytestmark = pytest.mark.interop

RELAY = "relay@provider.example"


class Sites:
    """A hub of our own, and files for its routes."""

    def __init__(self, place: Path, ca: str) -> None:
        self.place, self.ca = place, ca
        self.hub = Twistd(place / "ours", self.routes(f"[route x]\nhost = localhost:{1}\n"))
        self.ann = self.hub.add("ann")

    def routes(self, text: str) -> str:
        """Routes, with the way to try them soon and to trust the smarthost."""
        return f"[queue]\ndelays = 1h\n[relay]\nauthorities = {self.ca}\n{text}"

    def password(self, text: str = PASSWORD) -> Path:
        """A password file."""
        path = self.place / f"password-{len(text)}"
        path.write_text(text + "\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def obey(self, text: str) -> None:
        """Have our hub obey other routes, by SIGHUP once it runs."""
        self.hub.configure(self.routes(text))
        self.hub.reload()

    def login(self, port: int, *lines: str, password: str = PASSWORD, host: str = "") -> str:
        """A route's lines to a port of localhost, with a login."""
        text = f"host = {host or 'localhost'}:{port}\nusername = {RELAY}\n"
        return text + f"password file = {self.password(password)}\n" + "\n".join(lines) + "\n"


@dataclass
class Provider:
    """Another hub, that sends for those who log in."""

    hub: Twistd
    made: Authority
    carol: str


# ---- Another hub -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[Provider, Sites]]:
    with home("smarthost") as place, contextlib.ExitStack() as stack:
        made = authority(str(place / "tls"), time.time(), ("localhost", "127.0.0.1"))
        # A provider that sends whatever its customers hand in, for any of their addresses.
        more = "[submission]\nown addresses only = no\n[auth]\nfirst delay = 1s\n"
        hub = Twistd(
            place / "provider",
            more,
            domain="provider.example",
            hostname="mx.provider.example",
            services=("smtp", "submission", "submissions", "imap"),
            certificates=f"{made.files.chain} {made.files.key}",
        )
        hub.configure(more + "plaintext on loopback = yes\n")
        hub.add("relay")
        carol = hub.add("carol")
        hub.start()
        stack.callback(hub.stop)
        ours = Sites(place, made.ca)
        stack.callback(ours.hub.stop)
        yield Provider(hub, made, carol), ours


@pytest.mark.parametrize("implicit", [False, True])
def test_login_at_another_hub(provider: tuple[Provider, Sites], *, implicit: bool) -> None:
    """STARTTLS and implicit TLS, each verified with the authority of the configuration."""
    other, ours = provider
    port = other.hub.ports["submissions" if implicit else "submission"]
    ours.obey("[route all]\n" + ours.login(port, f"implicit tls = {'yes' if implicit else 'no'}"))
    ours.hub.submit(ours.ann, other.carol, subject=f"through {implicit}")
    text = other.hub.message(other.carol, f"through {implicit}")
    assert "with ESMTPSA" in text
    assert "TLSv1.3" in text


def test_wrong_password(provider: tuple[Provider, Sites]) -> None:
    """A login that fails is the operator's trouble: mail waits, and says why."""
    other, ours = provider
    text = ours.login(other.hub.ports["submission"], password="quite wrong")
    ours.obey(f"[route all]\n{text}")
    shown = ours.hub.deferred(ours.hub.submit(ours.ann, other.carol))
    [recipient] = shown["recipients"]
    assert recipient["state"] == "pending"
    assert "535" in recipient["reply"] or "uthentication" in recipient["reply"]
    attempt = shown["attempts"][-1]
    assert attempt["stage"] == "auth"
    assert attempt["certificate"] == "verified"


@pytest.mark.parametrize(
    ("host", "ca", "words"),
    [
        ("localhost", False, "unknown authority"),
        ("provider.localhost", True, "another name"),
    ],
)
def test_wrong_certificate(
    provider: tuple[Provider, Sites], host: str, *, ca: bool, words: str
) -> None:
    """Nothing goes to a host whose certificate is not good, and the queue says why."""
    other, ours = provider
    text = "[route all]\n" + ours.login(other.hub.ports["submission"], host=host)
    ours.hub.stop()
    routes = ours.routes(text)
    ours.hub.configure(routes if ca else routes.replace(f"authorities = {ours.ca}\n", ""))
    ours.hub.start()
    shown = ours.hub.deferred(ours.hub.submit(ours.ann, other.carol))
    [recipient] = shown["recipients"]
    assert recipient["state"] == "pending"
    assert words in recipient["reply"], recipient["reply"]
    assert words in shown["attempts"][-1]["certificate"]


def test_patterns_and_exceptions(provider: tuple[Provider, Sites]) -> None:
    """The route that names the recipient's domain best wins; an empty host is an exception."""
    other, ours = provider
    submission = other.hub.ports["submission"]
    smtp = other.hub.ports["smtp"]
    [dead] = free_ports(1)
    ours.obey(
        f"[route all]\nhost = localhost:{dead}\n"
        f"[route some]\n{ours.login(submission, 'recipients = provider.example')}"
        f"[route senders]\nhost = 127.0.0.1:{smtp}\ntls = required\nsenders = hub.example\n"
        "recipients = *.provider.example\n"
        "[route direct]\nhost =\nrecipients = exchange.invalid\n"
    )
    ours.hub.submit(ours.ann, other.carol, subject="by recipient")
    assert "with ESMTPSA" in other.hub.message(other.carol, "by recipient")
    # By the sender's domain, to port 25: no login, so the provider takes it for its own alone.
    queue_id = ours.hub.submit(ours.ann, "x@sub.provider.example")
    bounce = ours.hub.bounce(ours.ann, "x@sub.provider.example")
    assert queue_id
    assert "550 5.7.1 Relaying denied" in bounce
    ours.hub.submit(ours.ann, "x@exchange.invalid")
    assert "exchange.invalid" in ours.hub.bounce(ours.ann, "x@exchange.invalid")
    shown = ours.hub.deferred(ours.hub.submit(ours.ann, "x@rest.example"))
    assert shown["attempts"][0]["port"] == dead
    assert shown["attempts"][0]["host"] == "localhost"


# ---- Postfix with Dovecot's SASL -------------------------------------------------------------


@dataclass
class Classic:
    """A Postfix with a port for each way to log in."""

    postfix: Postfix
    ports: dict[str, int]
    log: Path
    place: Path


WAYS = {
    "plain": "plain",
    "login": "login",
    "scram": "plain,login,scram-sha-256",
    "scram only": "scram-sha-256",
}


@pytest.fixture(scope="module")
def classic() -> Iterator[tuple[Classic, Sites]]:
    if not all(shutil.which(name, path=search_path()) for name in ("postfix", "dovecot")):
        pytest.skip("postfix or dovecot is not installed")
    if os.geteuid() != 0:
        pytest.skip("postfix starts as root only")
    with home("sasl") as place, contextlib.ExitStack() as stack:
        made = authority(str(place / "tls"), time.time(), ("localhost", "127.0.0.1"))
        ports = dict(zip(["main", *WAYS], free_ports(len(WAYS) + 1), strict=True))
        postfix = Postfix(
            place / "postfix",
            ports["main"],
            f"""
smtpd_tls_cert_file = {made.files.chain}
smtpd_tls_key_file = {made.files.key}
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
mynetworks =
virtual_mailbox_domains = far.example
virtual_mailbox_base = {place}/far
virtual_mailbox_maps = static:carol/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
""",
        )
        (place / "far").mkdir()
        shutil.chown(place / "far", 65534, 65534)
        postfix.start()
        stack.callback(postfix.stop)
        for way, mechanisms in WAYS.items():
            name = f"127.0.0.1:{ports[way]}"
            entry = f"{name} inet n - n - - smtpd"
            postfix.command("postconf", "-Me", f"{name}/inet={entry}")
            option = f"{name}/inet/smtpd_sasl_mechanism_filter={mechanisms}"
            postfix.command("postconf", "-Pe", option)
        postfix.command("postfix", "reload")
        stack.callback(_stop, _dovecot(place))
        for port in ports.values():
            wait_for(port, b"220")
        ours = Sites(place, made.ca)
        stack.callback(ours.hub.stop)
        yield Classic(postfix, ports, place / "postfix/postfix.log", place), ours


def _dovecot(place: Path) -> subprocess.Popen[bytes]:
    config = place / "dovecot.conf"
    config.write_text(
        f"""
base_dir = {place}/run
protocols =
log_path = {place}/dovecot.log
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
disable_plaintext_auth = no
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "_")}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/tmp allow_all_users=yes
}}
service auth {{
  unix_listener {place}/postfix/spool/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""",
        encoding="utf-8",
    )
    program = shutil.which("dovecot", path=search_path())
    assert program
    process = subprocess.Popen([program, "-F", "-c", str(config)], stderr=subprocess.DEVNULL)
    until((place / "postfix/spool/private/auth").exists, "dovecot's socket")
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize(
    ("way", "mechanism"),
    [
        ("plain", "PLAIN"),
        ("login", "LOGIN"),
        ("scram", "SCRAM-SHA-256"),
        ("scram only", "SCRAM-SHA-256"),
    ],
)
def test_login_at_postfix(classic: tuple[Classic, Sites], way: str, mechanism: str) -> None:
    """The strongest mechanism that both have is taken; whichever it is works."""
    peer, ours = classic
    text = ours.login(peer.ports[way], password=PASSWORD.replace(" ", "_"))
    ours.obey(f"[route all]\n{text}")
    ours.hub.submit(ours.ann, "carol@far.example", subject=f"by {way}")

    def arrived() -> bool:
        found = (peer.place / "far/carol/new").glob("*")
        return any(f"Subject: by {way}".encode() in path.read_bytes() for path in found)

    until(arrived, f"mail: {peer.postfix.log[-2000:]}")
    assert f"sasl_method={mechanism}, sasl_username={RELAY}" in peer.postfix.log


@pytest.mark.parametrize("way", ["plain", "login", "scram only"])
def test_wrong_password_at_postfix(classic: tuple[Classic, Sites], way: str) -> None:
    """Postfix's 535 defers, whatever the mechanism."""
    peer, ours = classic
    ours.obey("[route all]\n" + ours.login(peer.ports[way], password="nonsense"))
    shown = ours.hub.deferred(ours.hub.submit(ours.ann, "carol@far.example"))
    assert shown["recipients"][0]["state"] == "pending"
    assert "535 5.7.8" in shown["recipients"][0]["reply"]
    assert shown["attempts"][-1]["stage"] == "auth"
