"""Conversations written down: what is said, and what should come of it.

A file is a YAML list of ``{name, turns}``; a turn is ``{say: text}``, ``{nbest: [[text,
posterior], ...]}`` or ``{wait: seconds}``, with ``do: [actions]`` and ``ask: true`` where it is
known what should be done. Every conversation begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factored_asr.dialogue.dialogue import Dialogue
from factored_asr.dialogue.memory import Memory, Outcome
from factored_asr.language.grammar.yaml_nodes import Node, read_yaml
from factored_asr.storage.reading import read_text


@dataclass(frozen=True, slots=True)
class Line:
    """One turn as written."""

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
    """One conversation as written."""

    name: str
    lines: tuple[Line, ...]


def read_scripts(path: str | Path) -> list[Script]:
    """Read a file of conversations.

    Raises
    ------
    FormatError
        If it is not of the form above; names file and line.
    """
    scripts = []
    for group in read_yaml(read_text(path), str(path)).sequence("a file of dialogues"):
        parts = group.mapping("a dialogue")
        if "turns" not in parts:
            raise group.error("a dialogue needs 'turns'")
        name = parts["name"].text("a name") if "name" in parts else f"line {group.line}"
        lines = tuple(_line(turn) for turn in parts["turns"].sequence("turns"))
        scripts.append(Script(name, lines))
    return scripts


def _line(node: Node) -> Line:
    parts = node.mapping("a turn")
    said: list[tuple[str, float]] = []
    if "say" in parts:
        said = [(parts["say"].text("what is said"), 1.0)]
    for guess in parts["nbest"].sequence("nbest") if "nbest" in parts else ():
        pair = guess.sequence("a guess")
        if len(pair) != 2:
            raise guess.error("a guess is [text, posterior]")
        said.append((pair[0].text("what is said"), _number(pair[1], "a posterior")))
    wait = _number(parts["wait"], "seconds to wait") if "wait" in parts else 0.0
    if not said and "wait" not in parts:
        raise node.error("a turn needs 'say', 'nbest' or 'wait'")
    do = None
    if "do" in parts:
        do = tuple(action.text("an action") for action in parts["do"].sequence("do"))
    ask = "ask" in parts and parts["ask"].text("ask").lower() in ("true", "yes", "on")
    return Line(tuple(said), wait, do, ask)


def _number(node: Node, what: str) -> float:
    try:
        number = float(node.text(what))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise node.error(f"{what} must be a number of at least 0")
    return number


def play(script: Script, dialogue: Dialogue) -> Iterator[tuple[Line, Outcome]]:
    """Hold a conversation from its beginning; gives every line and what came of it."""
    dialogue.memory = Memory(dialogue.world.start())
    for line in script.lines:
        dialogue.wait(line.wait)
        said: Any = list(line.said)
        yield line, dialogue.hear(said) if said else Outcome()
