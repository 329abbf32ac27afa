"""Line ends: what is stored with a bare LF is served with CR LF, and counted so.

Mail that we wrote has the octets that were received; mail that other programs
wrote ends its lines as Unix does. A file whose length is its RFC822.SIZE is
served as it stands, any other is converted.
"""

from __future__ import annotations

from typing import Final

from mailhub.store.files import Files

_PIECE: Final = 1 << 20


def to_crlf(octets: bytes) -> bytes:
    """The octets with each bare LF made CR LF; a bare CR stays."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def served_size(files: Files, descriptor: int) -> int:
    """The octets of an open file once its bare LFs are CR LF."""
    size = offset = 0
    after_cr = False
    while octets := files.pread(descriptor, _PIECE, offset):
        bare = octets.count(b"\n") - octets.count(b"\r\n")
        if after_cr and octets.startswith(b"\n"):
            bare -= 1
        size += len(octets) + bare
        offset += len(octets)
        after_cr = octets.endswith(b"\r")
    return size


def header_end(octets: bytes) -> int | None:
    """Where the empty line that ends the header section is over; None if it is not there.

    RFC 5322 §2.1: the body is separated from the header section by an empty line.
    """
    if octets.startswith(b"\r\n"):
        return 2
    found = octets.find(b"\r\n\r\n")
    return None if found < 0 else found + 4
