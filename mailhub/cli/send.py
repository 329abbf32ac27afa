"""``mailhub send``: a message from the command line, through submission like any mail program's."""

from __future__ import annotations

import mimetypes
import os
import smtplib
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

import click

from mailhub.accounts.record import address
from mailhub.cli.place import Place
from mailhub.cli.show import done
from mailhub.config.certificate import BadCertificate, read
from mailhub.config.endpoint import SERVER
from mailhub.config.settings import Settings
from mailhub.mail.address import Path

SUBMISSION: Final = 587
SUBMISSIONS: Final = (465, 2465)
"""Ports where TLS begins at once, a demo's among them."""
PATIENCE: Final = 60.0
"""Seconds to wait for each answer of the server."""


@click.command()
@click.option("--from", "sender", metavar="ADDRESS", required=True, help="Who sends.")
@click.option("--to", "to", metavar="ADDRESS", multiple=True, required=True, help="Who gets it.")
@click.option("--subject", metavar="TEXT", default="", help="Its subject.")
@click.option("--body", metavar="TEXT", help="Its text.  [standard input]")
@click.option(
    "--attach",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A file to attach; may be repeated.",
)
@click.option("--server", metavar="HOST[:PORT]", help="The submission server.  [this hub]")
@click.option("--user", metavar="NAME", help="Who logs in.  [the sender]")
@click.option(
    "--password",
    metavar="TEXT",
    envvar="MAILHUB_PASSWORD",
    help="The password; better in MAILHUB_PASSWORD, or typed when asked.",
)
@click.option(
    "--tls",
    type=click.Choice(["starttls", "implicit", "none"]),
    help="How TLS begins.  [implicit at ports 465 and 2465, else starttls]",
)
@click.option("--ca", metavar="FILE", help="Trust certificates of this authority too.")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.pass_obj
def send(
    place: Place,
    sender: str,
    to: tuple[str, ...],
    subject: str,
    body: str | None,
    attach: tuple[str, ...],
    server: str | None,
    user: str | None,
    password: str | None,
    tls: str | None,
    ca: str | None,
    *,
    insecure: bool,
) -> None:
    """Send a message through a submission server: this hub's, or another."""
    reverse_path, paths = address(sender), [address(it) for it in to]
    settings = place.settings() if server is None or place.state or place.config else None
    host, port = _server(server, settings)
    name = host if settings is None or server is not None else _certified(settings)
    if password is None:
        password = click.prompt("Password", hide_input=True, err=True)
    text = _text(sys.stdin.buffer.read() if body is None else os.fsencode(body))
    message = composed(reverse_path, paths, subject, text, attach)
    context = _context(ca, settings, insecure=insecure)
    how = tls or ("implicit" if port in _implicit(settings) else "starttls")
    login = user or str(reverse_path)
    try:
        reply = submit(message, (host, port, name), how, context, (login, password))
    except (smtplib.SMTPException, OSError) as error:
        raise click.ClickException(f"{host}:{port}: {reason(error)}") from None
    done(reply)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise click.ClickException("the text is not UTF-8 (--attach takes any file)") from None


def composed(
    sender: Path, paths: Sequence[Path], subject: str, text: str, attach: Sequence[str]
) -> EmailMessage:
    """The message; addresses and subject may be in any script, and none can add a field.

    Raises:
        ClickException: A line end in the subject.
    """
    message = EmailMessage()
    message["From"] = _address(sender)
    message["To"] = [_address(path) for path in paths]
    try:
        message["Subject"] = subject
    except ValueError:
        raise click.ClickException("--subject: expected one line") from None
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message.set_content(text if text.endswith("\n") else text + "\n")
    for name in attach:
        with open(name, "rb") as file:
            octets = file.read()
        kind, encoding = mimetypes.guess_type(name)
        if kind is None or encoding is not None:
            kind = "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(octets, main, sub, filename=os.path.basename(name))
    return message


def submit(
    message: EmailMessage,
    server: tuple[str, int, str],
    tls: str,
    context: ssl.SSLContext,
    login: tuple[str, str],
) -> str:
    """Hand a message in at a host and port, under a name that its certificate must be good for.

    Returns:
        What became of it, in words.

    Raises:
        SMTPException: The server would not; nobody gets it.
        OSError: It could not be talked to.
    """
    host, port, name = server
    here = socket.gethostname()  # else the DNS is asked for it, and perhaps waited for
    connection = (
        smtplib.SMTP_SSL(local_hostname=here, timeout=PATIENCE, context=context)
        if tls == "implicit"
        else smtplib.SMTP(local_hostname=here, timeout=PATIENCE)
    )
    connection._host = name  # type: ignore[attr-defined]  # noqa: SLF001  # no other way to say it
    try:
        connection.connect(host, port)
        if tls == "starttls":
            connection.starttls(context=context)
        connection.login(*login)
        refused = connection.send_message(message)
    finally:
        with suppress(smtplib.SMTPException, OSError):  # what is said at parting changes nothing
            connection.quit()
        connection.close()
    for path, (code, text) in refused.items():
        click.echo(f"mailhub: <{path}> was refused: {_said(code, text)}", err=True)
    return "sent" if not refused else f"sent, but not to {len(refused)} of its recipients"


def reason(error: Exception) -> str:
    """Why a message could not be handed in, in one line."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return "; ".join(
                f"<{path}> was refused: {_said(code, text)}"
                for path, (code, text) in error.recipients.items()
            )
        case smtplib.SMTPResponseException():
            return _said(error.smtp_code, error.smtp_error)
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message} (--ca, --insecure)"
        case OSError(strerror=str(text)):
            return text
        case _:
            return " ".join(str(error).split()) or type(error).__name__


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"


def _address(path: Path) -> Address:
    return Address(username=path.local, domain=path.domain)


def _server(given: str | None, settings: Settings | None) -> tuple[str, int]:
    """The server to hand in at: the one given, or the hub's own submission port."""
    if given is not None:
        try:
            host, port = SERVER.parse(given)
        except ValueError:
            raise click.UsageError(f"--server: expected {SERVER.expected}, not {given}.") from None
        return host, port or SUBMISSION
    assert settings is not None, "without --server there are settings"
    for endpoint in (*settings.listen.submission, *settings.listen.submissions):
        if endpoint.port:
            return endpoint.host or "localhost", endpoint.port
    raise click.UsageError("This hub takes no submissions at a port that is known: say --server.")


def _implicit(settings: Settings | None) -> set[int]:
    """Ports where TLS begins at once, as far as we know."""
    ours = () if settings is None else settings.listen.submissions
    return {*SUBMISSIONS, *(endpoint.port for endpoint in ours if endpoint.port)}


def _certified(settings: Settings) -> str:
    """The name that this hub's own certificate is for: a demo's is for localhost."""
    names: set[str] = set()
    for files in settings.tls.certificates:
        with suppress(BadCertificate):  # such as one that only the hub may read
            names |= read(files).names
    return "localhost" if "localhost" in names else settings.hub.hostname


def _context(ca: str | None, settings: Settings | None, *, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    trusted = [ca] if ca else []
    if settings is not None:
        names = ("ca.pem", "self-signed.pem")
        ours = [os.path.join(settings.hub.tls, name) for name in names]
        trusted += [path for path in ours if os.access(path, os.R_OK)]
    for path in trusted:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise click.ClickException(f"{path}: {error.strerror or error}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
