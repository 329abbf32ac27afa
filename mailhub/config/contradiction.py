"""Finds what parses and cannot be meant: keys that contradict each other. Opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from mailhub.config.endpoint import Endpoint, is_loopback
from mailhub.config.ini import Mistake
from mailhub.config.settings import IMPLICIT, LOGINS, SERVICES, Settings
from mailhub.config.values import SIZE, SIZE_OR_NONE, UNLIMITED

Lines = Mapping[tuple[str, str], int]
"""For each section and key that was given, its line."""

USUAL: Final = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
}
"""Where a socket of systemd's listens, for all that we can know."""


def found(settings: Settings, lines: Lines) -> list[Mistake]:
    """Every contradiction."""
    return [
        *_nowhere(settings, lines),
        *_twice(settings, lines),
        *_without_tls(settings, lines),
        *_ourselves(settings, lines),
        *_same_route(settings, lines),
        *_numbers(settings, lines),
        *_untold(settings, lines),
    ]


def _wrong(lines: Lines, section: str, key: str, text: str) -> Mistake:
    return Mistake(lines.get((section, key), 0), section, key, text)


def _nowhere(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    if not any(settings.listen.all().values()):
        line = max((lines.get(("listen", name), 0) for name in SERVICES), default=0)
        yield Mistake(line, "listen", "", "no service listens anywhere")


def _untold(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    if settings.double_bounces and settings.hub.postmaster is None:
        text = "there is no postmaster in [hub] to be told"
        yield _wrong(lines, "queue", "double bounces", text)


def _twice(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Two listeners that want the same port of the same address."""
    before: list[tuple[str, Endpoint]] = []
    for name, endpoints in settings.listen.all().items():
        for endpoint in endpoints:
            for other, taken in before:
                if _overlap(endpoint, taken):
                    blamed = max((other, name), key=lambda key: lines.get(("listen", key), 0))
                    holder = other if blamed == name else name
                    text = f"{endpoint} is taken by {holder} already"
                    yield _wrong(lines, "listen", blamed, text)
            before.append((name, endpoint))


def _overlap(one: Endpoint, two: Endpoint) -> bool:
    if one == two:
        return True
    (host, port), (other, same) = _place(one), _place(two)
    return port == same != 0 and (host == other or not host or not other)


def _place(endpoint: Endpoint) -> tuple[str, int]:
    """Host (empty for all) and port (0 for unknown) of an endpoint, however it was written."""
    if not endpoint.given:
        return endpoint.host, endpoint.port
    found = re.fullmatch(r"tcp6?:(?:port=)?(\d+)(?::.*)?", endpoint.given)
    if found is None:
        return endpoint.given, 0
    return endpoint.interface, int(found[1])


def _without_tls(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Logins that anybody on the way could read."""
    if settings.tls.offered:
        return
    for name in LOGINS:
        for endpoint in settings.listen.all()[name]:
            if name in IMPLICIT:
                text = f"{endpoint} needs TLS, which [tls] offered = no switches off"
            elif endpoint.public:
                text = f"{endpoint} is public: logins without TLS are for loopback"
            else:
                continue
            yield _wrong(lines, "listen", name, text)


def _ourselves(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Smarthosts that are this hub."""
    ours = [
        _place(endpoint) if _place(endpoint)[1] else ("", USUAL[name])
        for name in ("smtp", "submission", "submissions")
        for endpoint in settings.listen.all()[name]
    ]
    for route in settings.routes:
        if route.hop is None:
            continue
        host, port = route.hop.host, route.hop.port
        if port not in (listening for _, listening in ours):
            continue
        loopback = host == "localhost" or is_loopback(host)
        if loopback or host == settings.hub.hostname or (host, port) in ours:
            text = f"{host} at port {port} is this hub: mail would go round in a circle"
            yield _wrong(lines, f"route {route.name}", "host", text)


def _same_route(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Two routes for the same mail."""
    before: dict[tuple[str, str], str] = {}
    for route in (it for it in settings.routes if not it.spare):
        for recipient in route.recipients or ("*",):
            for sender in route.senders or ("*",):
                other = before.setdefault((recipient, sender), route.name)
                if other != route.name:
                    section = f"route {route.name}"
                    key = "recipients" if (section, "recipients") in lines else "host"
                    what = "all mail" if recipient == sender == "*" else f"mail for {recipient}"
                    what += "" if sender == "*" else f" from {sender}"
                    yield _wrong(lines, section, key, f"{what} is [route {other}]'s already")


def _numbers(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Limits that make each other pointless."""
    listen, schedule, smtp = settings.listen, settings.schedule, settings.smtp
    if listen.connections_per_address > listen.connections:
        text = f"is more than connections = {listen.connections}"
        yield _wrong(lines, "limits", "connections per address", text)
    if schedule.warning >= schedule.lifetime:
        yield _wrong(lines, "queue", "delay warning", "comes after the lifetime has ended")
    throttle = settings.auth.throttle
    if throttle.first_delay > throttle.longest_delay:
        yield _wrong(lines, "auth", "first delay", "is longer than the longest delay")
    cost = settings.auth.cost
    if cost.memory < 8 * cost.lanes:  # RFC 9106 §3.1
        yield _wrong(
            lines, "auth", "hash memory", f"is less than 8K for each of {cost.lanes} lanes"
        )
    for section, limits in (("smtp", smtp), ("submission", settings.submission)):
        if 0 < limits.size < limits.text_line and (section, "message limit") in lines:
            text = f"is less than text line = {limits.text_line}"
            yield _wrong(lines, section, "message limit", text)
    yield from _message_limits(settings, lines)


def _message_limits(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Mail that may come in or go out, and that no client could put into a mailbox."""
    append = settings.imap.append
    for section, size in (("smtp", settings.smtp.size), ("submission", settings.submission.size)):
        if (size or UNLIMITED) <= append:
            continue
        if (section, "message limit") in lines:
            text = f"is more than [imap] message limit = {SIZE_OR_NONE.show(append)}"
            yield _wrong(lines, section, "message limit", text)
        else:
            text = f"is less than [{section}] message limit = {SIZE.show(size)}"
            yield _wrong(lines, "imap", "message limit", text)
