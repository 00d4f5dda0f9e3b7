"""Test dialogues: what the user says, and what the system should do.

A file is a YAML list of ``{name, turns}``; a turn is ``{say: text}``, ``{nbest: [[text,
posterior], ...]}`` or ``{wait: seconds}``, with ``do: [actions]`` and ``ask: true`` where the
outcome is checked. Each dialogue starts with an empty memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from factored_asr.dialogue import Dialogue, Memory, Outcome


@dataclass(frozen=True, slots=True)
class Line:
    """One turn of a file."""

    said: tuple[tuple[str, float], ...] = ()
    wait: float = 0.0
    do: tuple[str, ...] | None = None
    """The actions expected; None: nothing is expected."""
    ask: bool = False

    def expects(self, outcome: Outcome) -> bool:
        """True if the outcome is as it should be."""
        return self.do is None or (outcome.actions, outcome.ask) == (self.do, self.ask)


@dataclass(frozen=True, slots=True)
class Script:
    """One dialogue of a file."""

    name: str
    lines: tuple[Line, ...]


def read_scripts(path: str | Path) -> list[Script]:
    """Read a file of dialogues."""
    groups = yaml.load(Path(path).read_text(encoding="utf-8"), yaml.BaseLoader)
    return [
        Script(group.get("name", f"dialogue {number}"), tuple(map(_line, group["turns"])))
        for number, group in enumerate(groups, 1)
    ]


def _line(turn: dict[str, Any]) -> Line:
    if unknown := set(turn) - {"say", "nbest", "wait", "do", "ask"}:
        raise ValueError(f"a turn has no {unknown}: {turn}")
    said = [(turn["say"], 1.0)] if "say" in turn else []
    said += [(text, float(posterior)) for text, posterior in turn.get("nbest", ())]
    do = tuple(turn["do"]) if "do" in turn else None
    if not said and "wait" not in turn:
        raise ValueError(f"a turn needs 'say', 'nbest' or 'wait', got {turn}")
    return Line(tuple(said), float(turn.get("wait", 0)), do, turn.get("ask") == "true")


def play(script: Script, dialogue: Dialogue) -> Iterator[tuple[Line, Outcome]]:
    """Play a dialogue from its beginning; yield each turn and its outcome."""
    dialogue.memory = Memory(dialogue.world.start())
    for line in script.lines:
        dialogue.wait(line.wait)
        said: Any = list(line.said)
        yield line, dialogue.hear(said) if said else Outcome()
