"""The MIME structure of a content: a tree of parts with offsets, so that any part can be cut out.

One pass from front to back: a stack holds the boundaries that are open, each
with the place where its next delimiter stands, and the nearest of those ends
whatever is being read.  Nothing is copied but the header sections.

Delimiters are found as RFC 2046 §5.1.1 says, at the beginning of a line, with
anything behind them; of two boundaries that both fit, the longer is meant, and
of two equal ones the inner.  A bare LF ends a line like CR LF does.

The line end before a delimiter is the delimiter's, unless what stands before
cannot do without it: the close delimiter of an inner multipart, and the header
section of an embedded message.  There it is kept, as Dovecot does.

Invariants:

1. `parse` never raises: where the sender broke the rules, something sane comes
   out. Rubbish in Content-Type means text/plain (RFC 2045 §5.2), a multipart
   that is never closed ends where its parent does, one without any delimiter
   has no children.
2. ``0 <= start <= body <= end <= len(content)``; children lie within their
   parent's body, in order, and do not overlap.
3. Time is linear in the content's length: `Limits.passes` bounds how often one
   octet is looked at. Memory is bounded by `Limits.parts` and by
   `header.SECTION_LIMIT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from mailhub.mail import header
from mailhub.mail.parameters import (
    Parameters,
    Value,
    content_type,
    disposition,
    languages,
    token,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a structure is followed.

    Attributes:
        depth: Levels of parts within each other, the message included; what
            would have parts deeper down is application/octet-stream.
        parts: Parts in all; the last one takes the rest of the content.
        passes: Times that each octet may be searched for delimiters, on
            average; after that no further one is looked for.
        spare: Octets that may be searched beyond that, so that `passes` does
            not restrict small messages.
    """

    depth: int = 100
    parts: int = 1000
    passes: int = 16
    spare: int = 1024 * 1024


LIMITS: Final = Limits()


class Part(NamedTuple):
    """A part, or a whole message (RFC 2045 §2.4: an entity).

    Attributes:
        start: Where its header section begins.
        body: Where its body begins.
        end: Where it ends; the line end before a delimiter is the delimiter's
            (RFC 2046 §5.1.1).
        type: ``text``; in the sender's spelling, like all that follows.
        encoding: Content-Transfer-Encoding, ``7bit`` where there is none.
        lines: Line ends in the body; 0 for a multipart.
        children: The parts of a multipart; the message in a message/rfc822.
        fields: `header.index` of a message's header section; None for a part.
    """

    start: int
    body: int
    end: int
    type: bytes
    subtype: bytes
    parameters: Parameters
    encoding: bytes
    id: bytes | None
    description: bytes | None
    md5: bytes | None
    disposition: Value | None
    language: tuple[bytes, ...]
    location: bytes | None
    lines: int
    children: tuple[Part, ...]
    fields: Mapping[bytes, list[bytes]] | None

    @property
    def size(self) -> int:
        """Octets of the body."""
        return self.end - self.body

    @property
    def is_multipart(self) -> bool:
        """Whether `children` are the parts of a multipart."""
        return self.type.lower() == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether the body is a message with a structure of its own (RFC 2046 §5.2.1)."""
        return bool(self.children) and not self.is_multipart

    def parameter(self, name: bytes) -> bytes | None:
        """The value of a parameter of Content-Type, as it stands."""
        return parameter(self.parameters, name)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, from front to back."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self) -> Iterator[Part]:
        """What it is made of; a message within is one piece."""
        if self.is_multipart:
            for child in self.children:
                yield from child.leaves()
        else:
            yield self


_TEXT: Final = (b"text", b"plain", ())
_MESSAGE: Final = (b"message", b"rfc822", ())
_TOO_DEEP: Final = (b"application", b"octet-stream")


def parse(content: bytes, limits: Limits = LIMITS) -> Part:
    """The structure of a whole message."""
    return _Scan(content, limits).entity(0, 0, _TEXT, is_message=True)


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """The value of the first parameter of that name; None if there is none."""
    for key, value in parameters:
        if key.lower() == name:
            return value
    return None


class _Level:
    """An open multipart.

    Attributes:
        mark: What stands at its delimiters: LF, two dashes, the boundary.
        next: Where the next one stands, by its LF; none stands before.
        there: Whether one stands there: else it has not been looked further.
    """

    __slots__ = ("mark", "next", "there")

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.next = -1
        self.there = False


class _Scan:
    """One pass over one content.

    Attributes:
        position: Everything before it has been read.
        budget: Octets that may still be searched.
    """

    __slots__ = ("budget", "content", "left", "levels", "limits", "position")

    def __init__(self, content: bytes, limits: Limits) -> None:
        self.content = content
        self.limits = limits
        self.left = limits.parts
        self.budget = limits.passes * len(content) + limits.spare
        self.levels: list[_Level] = []
        self.position = 0

    def entity(
        self, start: int, depth: int, default: tuple[bytes, bytes, Parameters], *, is_message: bool
    ) -> Part:
        """Read the entity that begins at `start`; `position` is then at its end."""
        self.left -= 1
        self.position = start
        level = self._next()
        limit = self._limit()
        # The last line end may be the one before a delimiter: then it matters whose that is.
        body = header.end(self.content, start, level.next + 1 if level else limit)
        fields = header.index(self.content[start:body])
        type_, subtype, params = default
        if (raw := fields.get(b"content-type")) is not None:
            type_, subtype, params = content_type(header.unfold(raw[0])) or _TEXT
        kind = type_.lower()
        self.position = body
        children: tuple[Part, ...] = ()
        if kind == b"multipart" or (kind == b"message" and subtype.lower() == b"rfc822"):
            if depth + 1 >= self.limits.depth or self.left <= 0:
                type_, subtype = _TOO_DEEP
                kind = type_
            elif kind == b"message":
                children = (self.entity(body, depth + 1, _TEXT, is_message=True),)
                self.budget -= self.position - body
            else:
                children = self._parts(params, depth + 1, subtype)
        if self.position == body > limit and not is_message and not children:
            self.position = body = limit
        if kind != b"message" or not children:
            self.position = max(self.position, self._limit())
        # Without either field a message is not MIME, whatever else it says (RFC 2045 §4)
        is_mime = not is_message or b"content-type" in fields or b"mime-version" in fields
        return Part(
            start, body, self.position, type_, subtype, params,
            *(_described(fields) if is_mime else _UNDESCRIBED),
            0 if kind == b"multipart" else self.content.count(b"\n", body, self.position),
            children, fields if is_message else None,
        )  # fmt: skip

    def _parts(self, params: Parameters, depth: int, subtype: bytes) -> tuple[Part, ...]:
        """Read the body of a multipart up to its close delimiter, or to its parent's next one."""
        boundary = parameter(params, b"boundary")
        if boundary is None:
            return ()
        # boundary := 0*69<bchars> bcharsnospace                           (RFC 2046 §5.1.1)
        level = _Level(b"\n--" + boundary.rstrip(b" \t\r\n"))
        self.levels.append(level)
        default = _MESSAGE if subtype.lower() == b"digest" else _TEXT  # RFC 2046 §5.1.5
        children = []
        while self._next() is level:
            behind = level.next + len(level.mark)
            line_end = self.content.find(b"\n", behind)
            self.position = line_end + 1 or len(self.content)
            if self.content.startswith(b"--", behind) or line_end < 0:
                break
            children.append(self.entity(self.position, depth, default, is_message=False))
        self.levels.pop()
        return tuple(children)

    def _next(self) -> _Level | None:
        """The level whose delimiter comes next; None where nothing more is delimited."""
        if self.left <= 0 or self.budget <= 0:
            return None
        since = max(self.position - 1, 0)
        nearest, bound = None, len(self.content)
        for level in self.levels:
            if level.next < since:
                found = self.content.find(level.mark, since, bound + len(level.mark))
                level.there = found >= 0
                level.next = found if found >= 0 else bound
                self.budget -= min(level.next, bound) - since
            if level.there and (
                level.next < bound
                or (
                    nearest is not None
                    and level.next == bound
                    and len(level.mark) >= len(nearest.mark)
                )
            ):
                nearest, bound = level, level.next
        return nearest

    def _limit(self) -> int:
        """Where what is being read must end: before the line end of the next delimiter."""
        level = self._next()
        if level is None:
            return len(self.content)
        before = level.next
        if self.content.startswith(b"\r", before - 1):
            before -= 1
        return max(before, self.position)


_Described = tuple[
    bytes, bytes | None, bytes | None, bytes | None, Value | None, tuple[bytes, ...], bytes | None
]
_UNDESCRIBED: Final[_Described] = (b"7bit", None, None, None, None, (), None)


def _described(fields: Mapping[bytes, list[bytes]]) -> _Described:
    """What the Content- fields say, beside the type; the first of each counts (RFC 2045 §3)."""
    names = [name for name in fields if name.startswith(b"content-")]
    if not names or names == [b"content-type"]:
        return _UNDESCRIBED
    value = {name[8:]: header.unfold(fields[name][0]) for name in names}
    encoding = value.get(b"transfer-encoding")
    disposed = value.get(b"disposition")
    spoken = value.get(b"language")
    return (
        (token(encoding) if encoding else None) or b"7bit",
        value.get(b"id"),
        value.get(b"description"),
        value.get(b"md5"),
        disposition(disposed) if disposed else None,
        languages(spoken) if spoken else (),
        value.get(b"location"),
    )
