"""Makes a route of a ``[route NAME]`` section, or tells what is wrong with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from mailhub.config.ini import Mistake
from mailhub.config.waiting import wishes
from mailhub.policy.route import (
    SUBMISSION_PORT,
    SUBMISSIONS_PORT,
    Route,
    Smarthost,
    TlsDemand,
)

PASSWORD_LIMIT: Final = 4096
"""Characters of a password's file that are read."""


class Draft:
    """The values of one section, with the lines they stand on.

    Args:
        name: Behind ``route`` in the brackets.
        lines: For each key that was given, its line.
    """

    def __init__(
        self, name: str, line: int, values: Mapping[str, Any], lines: Mapping[str, int]
    ) -> None:
        self._name = name
        self._line = line
        self._values = values
        self._lines = lines
        self.mistakes: list[Mistake] = []

    def route(self) -> Route | None:
        """The route; None if it has mistakes, which are in `mistakes`."""
        if "host" not in self._lines:
            self._wrong("host", "missing (empty is for mail that goes to its domain's exchanges)")
        host, port = self._values.get("host") or ("", 0)
        made = self._through(host, port) if host else self._exception()
        return None if self.mistakes else made

    def _exception(self) -> Route:
        for key in ("username", "password file", "implicit tls", "spare"):
            if key in self._lines:
                self._wrong(key, "is for a smarthost, but host is empty")
        tls = self._values.get("tls") or TlsDemand.OPPORTUNISTIC
        return self._route(None, tls)

    def _through(self, host: str, port: int) -> Route:
        implicit = self._values.get("implicit")
        if implicit is None:
            implicit = port == SUBMISSIONS_PORT
        tls = self._values.get("tls") or TlsDemand.VERIFIED
        if implicit and tls is TlsDemand.NONE:
            self._wrong("tls", "none contradicts implicit TLS")
        smarthost = Smarthost(
            self._name,
            host,
            port or (SUBMISSIONS_PORT if implicit else SUBMISSION_PORT),
            tls,
            implicit,
            self._values.get("username", ""),
            self._password(implicit=implicit, tls=tls),
        )
        return self._route(smarthost, tls)

    def _route(self, hop: Smarthost | None, tls: TlsDemand) -> Route:
        recipients, senders = (self._values.get(key, ()) for key in ("recipients", "senders"))
        wanted = wishes(f"route {self._name}", self._values)
        spare = bool(self._values.get("spare"))
        for key in ("recipients", "senders"):
            if spare and key in self._lines:
                self._wrong(key, "no mail is matched by a spare route")
        returns = self._values.get("returns")
        return Route(self._name, hop, recipients, senders, tls, spare, returns, wanted)

    def _password(self, *, implicit: bool, tls: TlsDemand) -> str:
        username = self._values.get("username", "")
        path = self._values.get("password_file", "")
        if username and "password file" not in self._lines:
            self._wrong("password file", "missing, but there is a username", at="username")
        if path and not username:
            self._wrong("username", "missing, but there is a password file", at="password file")
        if username and not implicit and not tls.mandatory:
            text = f"{tls.value} would send the password in the clear: required or verified"
            self._wrong("tls", text, at="tls" if "tls" in self._lines else "username")
        return self._read(path) if path else ""

    def _read(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:
                password = file.readline(PASSWORD_LIMIT).rstrip("\r\n")
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            self._wrong("password file", f"{path}: {error.strerror}")
            return ""
        except UnicodeDecodeError:
            self._wrong("password file", f"{path}: is not UTF-8")
            return ""
        if not password:
            self._wrong("password file", f"{path}: its first line is empty")
        elif mode & stat.S_IROTH:
            self._wrong("password file", f"{path}: everybody can read it (chmod o= {path})")
        return password

    def _wrong(self, key: str, text: str, at: str | None = None) -> None:
        line = self._lines.get(at or key, self._line)
        self.mistakes.append(Mistake(line, f"route {self._name}", key, text))
