"""``twistd mailhub`` as an operator runs it: reloads, failing starts, privileges, sockets."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mailhub.config.certificate import Authority, authority
from tests.interop.conftest import program
from tests.interop.peers import Twistd, free_ports, home, until

pytestmark = pytest.mark.interop

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
LOOPBACK = "127.0.0.5"
"""An address of this machine whose low ports nobody else wants."""


def renew(place: Path) -> Authority:
    """Another certificate in the place of the one that is there."""
    for path in place.glob("*"):
        path.unlink()
    return authority(str(place), 1_800_000_000.0, ("localhost", "127.0.0.1"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Twistd]:
    """A hub with a certificate of its own, not started."""
    made = authority(str(tmp_path / "tls"), 1_800_000_000.0, ("localhost", "127.0.0.1"))
    files = f"{made.files.chain} {made.files.key}"
    found = Twistd(tmp_path, services=("smtp", "submission", "imap"), certificates=files)
    yield found
    found.stop()


def seen(port: int) -> bytes:
    """The certificate that a client of STARTTLS is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert(binary_form=True)
    assert certificate
    return certificate


def size(port: int) -> str:
    """The largest message that SMTP says it takes."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        return client.esmtp_features["size"]


def reached(port: int) -> bool:
    """Whether somebody listens."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def hang_up(hub: Twistd, word: str) -> None:
    """Send SIGHUP, and wait until the log says what came of it."""
    before = hub.log.count(word)
    assert hub.process is not None
    hub.process.send_signal(signal.SIGHUP)
    until(lambda: hub.log.count(word) > before, f"{word!r}: {hub.log[-2000:]}")


class TestReload:
    """SIGHUP, with clients connected."""

    def test_everything(self, hub: Twistd) -> None:
        """Certificate, limit and route are new for who comes next; who is there stays."""
        address = hub.add("alice")
        hub.start()
        idle = hub.imap(address)
        idle.select()
        [tag] = [idle._new_tag()]
        idle.send(tag + b" IDLE\r\n")
        assert idle.readline().startswith(b"+ ")
        certificate = seen(hub.ports["smtp"])
        renew(hub.place / "tls")
        [sink] = free_ports(1)
        hub.configure(
            f"[smtp]\nmessage limit = 7M\n[route out]\nhost = 127.0.0.1:{sink}\ntls = none\n"
        )
        hang_up(hub, "reloaded: ")
        assert "[smtp] message limit, [route out]" in hub.log
        assert seen(hub.ports["smtp"]) != certificate
        assert size(hub.ports["smtp"]) == str(7 << 20)
        with socket.create_server(("127.0.0.1", sink)) as server:
            server.settimeout(20)
            hub.submit(address, "bob@far.example")
            server.accept()[0].close()  # the new route is used

        with smtplib.SMTP("127.0.0.1", hub.ports["smtp"]) as client:
            client.sendmail("s@far.example", [address], "Subject: news\r\n\r\nHello.\r\n")
        assert idle.readline() == b"* 1 EXISTS\r\n"
        idle.send(b"DONE\r\n")
        until(lambda: idle.readline().startswith(tag), "the end of IDLE")
        idle.logout()

    def test_a_bad_file(self, hub: Twistd) -> None:
        """Nothing changes; the log names file, line and mistake; the next good one counts."""
        hub.configure("[smtp]\nmessage limit = 7M\n")
        hub.start()
        certificate = seen(hub.ports["smtp"])
        renew(hub.place / "tls")
        hub.configure("[smtp]\nmessage limit = lots\n")
        hang_up(hub, "not reloaded, the old configuration stays")
        assert "[smtp] message limit, line " in hub.log
        assert size(hub.ports["smtp"]) == str(7 << 20)
        assert seen(hub.ports["smtp"]) == certificate
        hub.configure("[smtp]\nmessage limit = 8M\n")
        (hub.place / "tls" / "hub.pem").write_text("no certificate")
        hang_up(hub, "not reloaded, the old configuration stays")
        assert size(hub.ports["smtp"]) == str(7 << 20)
        assert seen(hub.ports["smtp"]) == certificate
        renew(hub.place / "tls")
        hang_up(hub, "reloaded: ")
        assert size(hub.ports["smtp"]) == str(8 << 20)
        assert seen(hub.ports["smtp"]) != certificate


class TestFailingStart:
    """What an operator sees when it cannot start."""

    def begin(self, place: Path, *options: str) -> tuple[int, str]:
        """Start twistd, which fails; its status, and what it said on the terminal."""
        command = [*TWISTD, f"--pidfile={place}/pid", *options]
        config = str(place / "mailhub.ini")
        result = subprocess.run(
            [*command, "mailhub", "--config", config],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=place,
        )
        assert "Traceback" not in result.stdout + result.stderr
        assert not (place / "pid").exists()
        return result.returncode, result.stdout + result.stderr

    @pytest.mark.parametrize("daemon", [False, True], ids=["nodaemon", "daemon"])
    def test_a_port_in_use(self, tmp_path: Path, daemon: bool) -> None:
        """One line with the port and the reason, status 1; a daemon says it on the terminal too."""
        hub = Twistd(tmp_path, services=("smtp",))
        with socket.create_server(("127.0.0.1", hub.ports["smtp"])):
            options = [f"--logfile={tmp_path}/log"] if daemon else ["--nodaemon"]
            status, said = self.begin(tmp_path, *options)
        assert status == 1
        port = hub.ports["smtp"]
        assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said
        assert not daemon or f"mailhub: cannot listen on 127.0.0.1, port {port}" in hub.log

    def test_a_state_in_use(self, tmp_path: Path) -> None:
        """Nor do two hubs share a state directory; a killed one is in nobody's way."""
        hub = Twistd(tmp_path, services=("smtp",))
        hub.start()
        assert hub.process is not None
        ports = {"smtp": free_ports(1)[0]}
        other = Twistd.__new__(Twistd)
        other.__dict__ |= hub.__dict__ | {"place": tmp_path / "other", "ports": ports}
        other.place.mkdir()
        text = hub.config.read_text().replace(str(hub.ports["smtp"]), str(ports["smtp"]))
        other.config = other.place / "mailhub.ini"
        other.config.write_text(text)
        status, said = self.begin(other.place, "--nodaemon")
        assert status == 1
        assert f"{hub.state} is in use by another mailhub (pid {hub.process.pid})" in said
        hub.process.kill()
        hub.process.wait()
        other.process = None
        other.start()
        other.stop()

    def test_a_state_that_cannot_be_written(self, tmp_path: Path) -> None:
        """A state directory that cannot be made or used is one line."""
        hub = Twistd(tmp_path, services=("smtp",))
        hub.config.write_text(hub.config.read_text().replace(str(hub.state), "/proc/mailhub"))
        status, said = self.begin(tmp_path, "--nodaemon")
        assert (status, "mailhub: /proc/mailhub: No such file or directory" in said) == (1, True)

    def test_a_bad_certificate(self, tmp_path: Path) -> None:
        """It is told with its key's line, before anything is bound."""
        (tmp_path / "hub.pem").write_text("no certificate")
        hub = Twistd(tmp_path, services=("smtp",))
        more = f"[tls]\ncertificates = {tmp_path}/hub.pem\n"
        hub.configure(more)
        status, said = self.begin(tmp_path, "--nodaemon")
        assert status == 1
        assert "[tls] certificates, line " in said
        assert "hub.pem: holds no certificate in PEM form" in said


class TestPrivileges:
    """``twistd --uid --gid``, started by root."""

    @pytest.fixture
    def place(self) -> Iterator[Path]:
        if os.getuid() != 0:
            pytest.skip("only root may bind low ports, and become somebody else")
        with home("privileges") as found:
            yield found

    def test_low_ports(self, place: Path) -> None:
        """Ports below 1024 are root's; the state, and every file in it, are the hub's user's."""
        nobody = pwd.getpwnam("nobody")
        ports = {"smtp": 25, "imap": 143}
        state = place / "state"
        state.mkdir(mode=0o700)
        os.chown(state, nobody.pw_uid, nobody.pw_gid)
        config = place / "mailhub.ini"
        text = f"[hub]\nhostname = hub.example\nstate = {state}\n[listen]\n"
        for name in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"):
            text += f"{name} = {LOOPBACK}:{ports[name]}\n" if name in ports else f"{name} =\n"
        config.write_text(text)
        group = grp.getgrgid(nobody.pw_gid).gr_name
        command = [*TWISTD, "--nodaemon", f"--pidfile={place}/pid", f"--logfile={place}/log"]
        command += ["--uid", "nobody", "--gid", group, "mailhub", "--config", str(config)]
        hub = Twistd.__new__(Twistd)
        hub.place, hub.config, hub.ports, hub.state = place, config, ports, state
        hub.process = subprocess.Popen(command, cwd=place)
        try:
            until(lambda: "hub.example is ready" in hub.log, f"the start: {hub.log[-2000:]}")
            with smtplib.SMTP(LOOPBACK, 25) as client:
                assert client.ehlo()[0] == 250
            with imaplib.IMAP4(LOOPBACK, 143) as reader:
                reader.noop()
            status = Path(f"/proc/{hub.process.pid}/status").read_text()
            assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
            owners = {path.lstat().st_uid for path in [state, *state.rglob("*")]}
            assert owners == {nobody.pw_uid}
            config.write_text(text + "[smtp]\nmessage limit = 7M\n")
            hang_up(hub, "reloaded: ")
            with smtplib.SMTP(LOOPBACK, 25) as client:
                client.ehlo()
                assert client.esmtp_features["size"] == str(7 << 20)
        finally:
            hub.stop()


class TestSockets:
    """Ports that systemd has opened."""

    DESCRIPTORS = """
import os, socket, sys
count = int(sys.argv[1])
for number, port in enumerate(sys.argv[2 : 2 + count]):
    server = socket.create_server(("127.0.0.1", int(port)))
    os.dup2(server.fileno(), 50 + number)
    server.close()
for number in range(count):
    os.dup2(50 + number, 3 + number)
    os.close(50 + number)
names = ":".join(["mailhub.socket"] * count)  # as one unit's are called
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(sys.executable, [sys.executable, *sys.argv[2 + count :]])
"""

    def try_it(self, hub: Twistd, command: list[str]) -> None:
        """Run a command that is or becomes the hub, and use both services."""
        hub.process = subprocess.Popen(command, cwd=hub.place)
        try:
            # The first connection may be what starts it.
            until(lambda: reached(hub.ports["smtp"]), f"a listener: {hub.log[-2000:]}")
            with smtplib.SMTP("127.0.0.1", hub.ports["smtp"], timeout=30) as client:
                assert client.ehlo()[0] == 250
            with imaplib.IMAP4("127.0.0.1", hub.ports["imap"], timeout=30) as reader:
                reader.noop()
        finally:
            hub.stop()

    def adopting(self, place: Path) -> tuple[Twistd, list[str]]:
        """A hub that binds nothing itself, and its command."""
        hub = Twistd(place, services=("smtp", "imap"))
        text = hub.config.read_text()
        for index, name in enumerate(("smtp", "imap")):
            own = f"{name} = 127.0.0.1:{hub.ports[name]}"
            assert own in text
            text = text.replace(own, f"{name} = systemd:domain=INET:index={index}")
        hub.config.write_text(text)
        command = [*TWISTD, "--nodaemon", "--pidfile=", f"--logfile={place}/log"]
        return hub, [*command, "mailhub", "--config", str(hub.config)]

    def test_the_protocol(self, tmp_path: Path) -> None:
        """Descriptors from 3 on, as ``$LISTEN_FDS`` counts them, are taken in their order."""
        hub, command = self.adopting(tmp_path)
        ports = [str(hub.ports[name]) for name in ("smtp", "imap")]
        launcher = [sys.executable, "-c", self.DESCRIPTORS, "2", *ports, *command[1:]]
        self.try_it(hub, launcher)

    def test_systemds_own_program(self, tmp_path: Path) -> None:
        """The same under systemd's own starter of such services."""
        activate = program("systemd-socket-activate")
        hub, command = self.adopting(tmp_path)
        listen = [f"--listen=127.0.0.1:{hub.ports[name]}" for name in ("smtp", "imap")]
        names = "--fdname=mailhub.socket:mailhub.socket"  # as one unit's are called
        self.try_it(hub, [activate, *listen, names, *command])

    def test_none_were_given(self, tmp_path: Path) -> None:
        """Without them it says so in one line."""
        _, command = self.adopting(tmp_path)
        result = subprocess.run(
            [it for it in command if not it.startswith("--logfile")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 1
        assert "Traceback" not in result.stdout + result.stderr
        assert (
            "[listen] smtp = systemd:domain=INET:index=0: systemd has handed no such"
            in result.stdout + result.stderr
        )
