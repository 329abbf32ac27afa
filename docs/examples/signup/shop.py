"""A shop that wants to know whether an address is its customer's."""

from __future__ import annotations

import secrets
import smtplib
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

SENDER = "welcome@shop.test"


@dataclass
class Shop:
    """The shop.

    Attributes:
        smtp: Host and port of the server that takes its mail.
        url: Where its pages are.
        pending: Addresses that have not opened their link yet, by token.
        customers: Those who have.
        unreachable: Addresses from which mail came back.
    """

    smtp: tuple[str, int]
    url: str = "https://shop.test"
    pending: dict[str, str] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)

    def sign_up(self, address: str) -> None:
        """Send a link to an address."""
        token = secrets.token_urlsafe(16)
        self.pending[token] = address
        message = EmailMessage()
        message["From"] = f"The shop <{SENDER}>"
        message["To"] = address
        message["Subject"] = "Please confirm your address"
        message.set_content(f"Welcome!\n\nOpen {self.url}/confirm/{token} and you are in.\n")
        with smtplib.SMTP(*self.smtp) as smtp:
            smtp.send_message(message)

    def confirm(self, token: str) -> bool:
        """A link was opened; whether it is one of ours."""
        address = self.pending.pop(token, None)
        if address is None:
            return False
        self.customers.add(address)
        return True

    def came_back(self, content: bytes) -> None:
        """A message has come to the sender's address: note for whom mail cannot be delivered."""
        message = message_from_bytes(content, policy=policy.default)
        for part in message.walk():
            if part.get("Action", "").strip().lower() == "failed":
                self.unreachable.add(part["Final-Recipient"].partition(";")[2].strip())
