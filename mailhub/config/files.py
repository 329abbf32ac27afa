"""Opens the files that a configuration names, to say now what would fail later."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from mailhub.config import replies as table
from mailhub.config import words
from mailhub.config.ini import Mistake
from mailhub.config.settings import Settings
from mailhub.policy.classify import Rule
from mailhub.queue.words import Words

Lines = Mapping[tuple[str, str], int]


def unusable(settings: Settings, lines: Lines) -> list[Mistake]:
    """What cannot be used of the files and directories that are named."""
    return [
        *_certificates(settings, lines),
        *_ciphers(settings, lines),
        *_authorities(settings, lines),
        *_state(settings, lines),
    ]


def replies(
    settings: Settings, lines: Lines, providers: Collection[str]
) -> tuple[tuple[Rule, ...], list[Mistake]]:
    """What replies mean: the operator's rules before those that are shipped."""
    path = settings.relay.replies
    built_in = tuple(
        rule for rule in table.known() if rule.provider == "*" or rule.provider in providers
    )
    if not path:
        return built_in, []
    line = lines.get(("relay", "replies"), 0)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        return built_in, [Mistake(line, "relay", "replies", f"{path}: {error.strerror}")]
    except UnicodeDecodeError:
        return built_in, [Mistake(line, "relay", "replies", f"{path}: is not UTF-8")]
    rules, mistakes = table.read(text, providers, os.path.basename(path))
    wrong = [
        Mistake(line, "relay", "replies", f"{path}, line {mistake.line}: {mistake.text}")
        for mistake in mistakes
    ]
    return (*rules, *built_in), wrong


def languages(settings: Settings, lines: Lines) -> tuple[Mapping[str, Words], list[Mistake]]:
    """The languages of notices: the operator's files before those that are shipped."""
    known = dict(words.shipped())
    wrong: list[Mistake] = []
    if path := settings.bounce_words:
        line = lines.get(("queue", "bounce words"), 0)
        try:
            found, mistakes = words.directory(path)
        except OSError as error:
            found, mistakes = {}, []
            wrong.append(Mistake(line, "queue", "bounce words", f"{path}: {error.strerror}"))
        known |= found
        wrong += [
            Mistake(line, "queue", "bounce words", f"{path}/{name}: {mistake}")
            for name, mistake in mistakes
        ]
    if settings.bounce_language not in known:
        line = lines.get(("queue", "bounce language"), 0)
        there = ", ".join(sorted(known))
        text = f"expected one of {there}, not {settings.bounce_language}"
        wrong.append(Mistake(line, "queue", "bounce language", text))
    return known, wrong


def _certificates(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    if not settings.tls.certificates:
        return
    # Imported here: cryptography is the slowest import of all, and most commands need none.
    from mailhub.config.certificate import BadCertificate, read  # noqa: PLC0415

    line = lines.get(("tls", "certificates"), 0)
    for files in settings.tls.certificates:
        try:
            read(files)
        except BadCertificate as error:
            yield Mistake(line, "tls", "certificates", str(error))


def _ciphers(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """Names of which OpenSSL knows none."""
    if not settings.tls.ciphers:
        return
    import ssl  # noqa: PLC0415

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(settings.tls.ciphers)
    except (ssl.SSLError, ValueError):
        text = f"OpenSSL knows no such cipher suites: {settings.tls.ciphers}"
        yield Mistake(lines.get(("tls", "ciphers"), 0), "tls", "ciphers", text)


def _authorities(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    path = settings.relay.authorities
    if not path:
        return
    from mailhub.config.certificate import BadCertificate, read_chain  # noqa: PLC0415

    try:
        read_chain(path)
    except BadCertificate as error:
        yield Mistake(lines.get(("relay", "authorities"), 0), "relay", "authorities", str(error))


def _state(settings: Settings, lines: Lines) -> Iterator[Mistake]:
    """A state directory may be missing (it is made), but nothing else may be in its place."""
    state = settings.hub.state
    if os.path.exists(state) and not os.path.isdir(state):
        line = lines.get(("hub", "state"), 0)
        yield Mistake(line, "hub", "state", f"{state}: is not a directory")
