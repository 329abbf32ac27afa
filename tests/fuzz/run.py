"""Runs one target under atheris: ``python -m tests.fuzz.run TARGET [SECONDS]``.

It begins with the saved corpus and the samples of tests/corpus/mime, or what clients say in
tests/dialogues/imap; whatever reaches new lines
goes into a directory of its own under the system's temporary one, and a sample that fails is
written to tests/corpus/fuzz/TARGET, to be kept when what it found is mended.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["mailhub.imap", "mailhub.mail", "mailhub.net.deflate"]):
    from tests.fuzz.targets import CORPORA, LONGEST, TARGETS
    from tests.rig import dialogues, turns


def main(name: str, seconds: int) -> None:
    """Fuzz for so many seconds."""
    saved = CORPORA / name
    found = Path(tempfile.gettempdir()) / "mailhub-fuzz" / name
    for directory in (saved, found):
        directory.mkdir(parents=True, exist_ok=True)
    samples = CORPORA.parent / "mime"
    if name == "session":
        samples = found / "dialogues"
        samples.mkdir(exist_ok=True)
        for path in dialogues("imap"):
            said = "".join(text for who, text in turns(path) if who == "C")
            (samples / path.stem).write_text(said, encoding="utf-8")
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10"]
    options += [f"-artifact_prefix={saved}/", "-print_final_stats=1"]
    places = [str(found), str(saved), str(samples)]
    atheris.Setup([sys.argv[0], *options, *places], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
