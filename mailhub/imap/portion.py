"""MESSAGELIMIT: of many messages one command works on some, those with the highest UIDs (RFC 9738).

Off unless the operator sets `Limits.messages`, and announced only then.  FETCH, STORE, SEARCH,
MOVE and UID EXPUNGE do part of their work, from the highest UID down, and say how far
they came; the client asks for the rest.  What is all or nothing is refused: COPY, APPEND,
SORT and THREAD.  EXPUNGE, CLOSE and STATUS know no limit (RFC 9738 §3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailhub.imap.response import No, Ok, status
from mailhub.imap.sequence import HIGHEST, intersection
from mailhub.imap.state import Selected
from mailhub.ports.message import Ranges


@dataclass(frozen=True, slots=True)
class Portion:
    """The messages that a command works on.

    Attributes:
        ranges: Their sequence numbers.
        limit: How many messages they may be.
        lowest: The UID of the lowest, where there were more; else 0.
    """

    ranges: Ranges
    limit: int
    lowest: int

    def downward(self) -> Iterator[tuple[int, int]]:
        """The ranges; where there were more, number by number from the highest (RFC 9738 §3.1)."""
        if not self.lowest:
            yield from self.ranges
            return
        for first, last in reversed(self.ranges):
            for number in range(last, first - 1, -1):
                yield number, number

    def ended(self, end: Ok | No) -> Iterator[bytes | Ok]:
        """The end of a command, with how far it came; before it where it has another code.

        Raises:
            No: That was the end.
        """
        if self.lowest and not end.code and isinstance(end, Ok):
            yield Ok(f"{end.text} in part", self._code())
            return
        if self.lowest:  # RFC 9738 §3.1
            yield status(b"*", "NO", "That was a part of it", self._code())
        if isinstance(end, No):
            raise end
        yield end

    def check(self) -> None:
        """Whether these are all.

        Raises:
            No: They are not: the command would have to work on more than it may.
        """
        if self.lowest:
            raise No("Too many messages at once", self._code())

    def _code(self) -> str:
        # resp-text-code =/ "MESSAGELIMIT" SP message-limit [SP uniqueid]     (RFC 9738 §4)
        return f"MESSAGELIMIT {self.limit} {self.lowest}"


def portion(box: Selected, ranges: Ranges, limit: int) -> Portion:
    """Of messages by sequence number as many as may be, those with the highest UIDs.

    Args:
        box: What the numbers are about; messages that have gone do not count.
        ranges: Ascending.
        limit: 0 is any number.
    """
    if not limit or sum(last - first + 1 for first, last in ranges) <= limit:
        return Portion(ranges, limit, 0)
    runs = [run for first, last in ranges for run in box.view.runs(first, last)]
    if sum(run.length for run in runs) <= limit:
        return Portion(ranges, limit, 0)
    left = limit
    while left > runs[-1].length:
        left -= runs.pop().length
    lowest = runs[-1].length - left  # its place in its run
    kept = intersection(ranges, ((runs[-1].seq + lowest, HIGHEST),))
    return Portion(kept, limit, box.mailbox.uids[runs[-1].position + lowest])


def too_many(limit: int) -> No:
    """The refusal of a command that says itself how many messages it is about."""
    return No(f"At most {limit} messages at once", f"MESSAGELIMIT {limit}")
