"""Speak the dialogues of dialogues.yaml: the sounds that are part of the repository.

    python tests/data/spoken/synthesise.py             # sounds/, two conditions of each dialogue
    python tests/data/spoken/synthesise.py --all DIR   # all sixteen, below DIR

Needs flite and espeak-ng. Sounds of the same text are kept; delete sounds/ after changes of voices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.spoken import can_speak, spoken_dialogues, synthesise, title, write


def main() -> None:
    """Write the sounds; those of sentences that are no longer there are removed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", metavar="DIR", type=Path)
    options = parser.parse_args()
    if not can_speak():
        raise SystemExit("flite and espeak-ng must be installed")
    wanted = set()
    for spoken in spoken_dialogues("all" if options.all else "shipped"):
        for i, turn in enumerate(spoken.turns):
            if options.all:
                spoken.samples(i, folder=options.all)
                continue
            path = spoken.file(i)
            wanted.add(path)
            if title(path) != turn.say:
                write(path, synthesise(turn.say, spoken.voice, spoken.speed), turn.say)
    if not options.all:
        for path in Path(__file__).parent.glob("sounds/*.opus"):
            if path not in wanted:
                path.unlink()


if __name__ == "__main__":
    main()
