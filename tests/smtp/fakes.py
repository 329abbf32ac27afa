"""An intake, drafts, mechanisms and logins in memory, for tests of SMTP sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.ports.accounts import (
    Account,
    AccountId,
    LoginFault,
    LoginRefused,
    Logins,
    ScramKeys,
    ScramProof,
)
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.intake import Draft
from mailhub.sasl.mechanism import Exchange, Malformed

ACCOUNT = Account(AccountId(1), Path("ann", "hub.example"), "ann")
TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", lambda kind: None)

SENDERS = {"refused": (550, "7.1", "Not from you")}
RECIPIENTS = {
    "nobody": (550, "1.1", "No mailbox here"),
    "full": (452, "2.2", "Over quota"),
    "echo": (550, "1.1", "No\r\n250 such ü"),
    "away": (421, "3.2", "Going away"),
}


@dataclass
class FakeDraft:
    """Content in memory."""

    intake: FakeIntake
    client: Client
    envelope: Envelope
    octets: bytes = b""
    ended: str = ""

    async def write(self, octets: bytes) -> None:
        assert not self.ended
        self.octets += octets
        if b"full disk" in self.octets:
            raise Refusal(452, "3.1", "Disk full")

    async def commit(self) -> Reply:
        assert not self.ended
        self.ended = "committed"
        if b"spam" in self.octets:
            raise Refusal(550, "7.1", "No spam")
        to = " ".join(f"<{recipient.path}>" for recipient in self.envelope.recipients)
        said = f"<{self.envelope.reverse_path}> to {to}; {len(self.octets)} octets"
        number = sum(draft.ended == "committed" for draft in self.intake.drafts)
        return Reply(250, "0.0", (f"Ok: queued as {number} ({said})",))

    async def abort(self) -> None:
        assert self.ended != "committed"
        self.ended = "aborted"


@dataclass
class FakeIntake:
    """Takes what no table refuses."""

    drafts: list[FakeDraft] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    recipients: list[Recipient] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)

    async def sender(self, client: Client, envelope: Envelope) -> None:
        self.clients.append(client)
        self.envelopes.append(envelope)
        if envelope.reverse_path.local in SENDERS:
            raise Refusal(*SENDERS[envelope.reverse_path.local])

    async def recipient(self, client: Client, envelope: Envelope, recipient: Recipient) -> None:
        self.recipients.append(recipient)
        if recipient.path.local in RECIPIENTS:
            raise Refusal(*RECIPIENTS[recipient.path.local])

    def refused(
        self,
        client: Client,
        stage: str,
        refusal: Refusal,
        envelope: Envelope | None = None,
        path: Path | None = None,
    ) -> None:
        sender = "" if envelope is None else str(envelope.reverse_path)
        to = "" if path is None else str(path)
        self.told.append((stage, refusal.reply.text, sender, to, str(refusal.rule or "")))

    async def draft(self, client: Client, envelope: Envelope) -> Draft:
        if envelope.reverse_path.local == "nodraft":
            raise Refusal(452, "3.1", "Disk full")
        self.drafts.append(FakeDraft(self, client, envelope))
        return self.drafts[-1]

    @property
    def contents(self) -> list[bytes]:
        """What was committed."""
        return [draft.octets for draft in self.drafts if draft.ended == "committed"]


class FakeExchange:
    """Judges the word ``right``, ``wrong`` or ``slow``, after the challenges it was given."""

    def __init__(self, before: list[bytes], after: list[bytes]) -> None:
        self.initial = not before
        self.account: Account | None = None
        self._before = before
        self._after = after
        self._judged = False

    async def step(self, response: bytes) -> bytes | None:
        if self._before:
            assert response == b""
            return self._before.pop(0)
        if not self._judged:
            self._judged = True
            if response == b"wrong":
                raise LoginRefused(LoginFault.CREDENTIALS)
            if response == b"slow":
                raise LoginRefused(LoginFault.THROTTLED)
            if response != b"right":
                raise Malformed(response)
        if self._after:
            return self._after.pop(0)
        self.account = ACCOUNT
        return None


class FakeMechanisms:
    """PLAIN, LOGIN, and one whose server speaks first."""

    makers: ClassVar[dict[str, Callable[[], FakeExchange]]] = {
        "PLAIN": lambda: FakeExchange([], []),
        "LOGIN": lambda: FakeExchange([b"User Name"], [b"last"]),
        "SECOND": lambda: FakeExchange([b"question"], []),
    }

    def __init__(self, *, in_the_clear: bool = False) -> None:
        self._in_the_clear = in_the_clear

    def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
        return tuple(self.makers) if tls or self._in_the_clear else ()

    def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange | None:
        return self.makers[name]() if name in self.makers else None


class FakeLogins:
    """Not asked: the mechanisms judge."""

    async def password(self, username: str, password: str) -> Account:
        raise AssertionError

    async def scram_keys(self, username: str) -> ScramKeys:
        raise AssertionError

    async def scram(self, username: str, proof: ScramProof) -> Account:
        raise AssertionError
