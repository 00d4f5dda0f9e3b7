"""Commands on sentences: understand."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from factored_asr.cli.shared import add_command


def understand(options: argparse.Namespace) -> int:
    """Read sentences from standard input, one a line; write what each means as JSON lines."""
    from factored_asr.bundle import packaged
    from factored_asr.recognizer import read_understander

    understander = read_understander(packaged(options.grammar))
    for line in sys.stdin:
        words = line.split()
        meaning = understander.parse(words) if words else None
        print(json.dumps({
            "text": " ".join(words),
            "intent": None if meaning is None else meaning.intent,
            "slots": {} if meaning is None else dict(meaning.slots),
            "confidence": 0.0 if meaning is None else meaning.confidence,
            "acts": [], "trace": [],
        }, ensure_ascii=False), flush=True)
    return 0


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = add_command(
        commands, "understand", understand, "sentences on stdin to intents, as JSON"
    )
    parser.add_argument("--grammar", required=True, metavar="PATH", help="grammar file or folder")
    parser.add_argument("--format", default="json", choices=("json",), help="JSON lines")

