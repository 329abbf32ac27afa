"""A lab that runs, for all tests here: each uses addresses of its own."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailhub.lab.client import Lab, started

Hand = Callable[..., Any]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with started() as running:
        yield running


@pytest.fixture(scope="session")
def hand_in(lab: Lab) -> Hand:
    """Hands a message in, as an application would."""

    def handed_in(sender: str, to: str, text: str = "Hello", subject: str = "News") -> None:
        content = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{text}\r\n"
        with smtplib.SMTP(lab.host, lab.ports["smtp"]) as smtp:
            smtp.sendmail(sender, [to], content)

    return handed_in
