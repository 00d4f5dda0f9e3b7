"""The shell commands of README, docs and ``--help``, and substitute files for them."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from factored_asr.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md"),
                ROOT / "tests" / "bench" / "README.md"])  # fmt: skip
BLOCK = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAM = "factored-asr"


def commands_of(script: str) -> Iterator[list[list[str]]]:
    """Yield each line of a shell script as the commands of its pipe, redirections included."""
    for line in script.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        pipe: list[list[str]] = [[]]
        for token in lexer:
            if token in ("&&", "||", ";", "&"):
                yield pipe
                pipe = [[]]
            elif token == "|":
                pipe.append([])
            else:
                pipe[-1].append(token)
        if pipe != [[]]:
            yield pipe


def documented() -> list[tuple[str, list[list[str]]]]:
    """Return all pipes of the pages and of ``--help``, each with the name of its place."""
    scripts = [(page.relative_to(ROOT).as_posix(), block)
               for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    for name, parser in parsers():
        lines = (parser.epilog or "").replace("\\\n", " ").split("\n")
        shown = [line.strip() for line in lines
                 if re.match(rf"  (?!\s).*\b{PROGRAM} ", line)]
        scripts.append((f"{name} --help", "\n".join(shown)))
    return [(place, pipe) for place, script in scripts for pipe in commands_of(script) if any(pipe)]


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command with its parser."""
    waiting = [(PROGRAM, app._parser())]
    while waiting:
        name, parser = waiting.pop()
        yield name, parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += [(f"{name} {key}", each) for key, each in action.choices.items()]


def without_redirections(command: list[str]) -> list[str]:
    """Return the words of a command that its program sees."""
    words, skip = [], False
    for word in command:
        if skip or word in ("<", ">", ">>"):
            skip = not skip
        elif word not in ("2>", "2>&1"):
            words.append(word)
    return words


def expanded(word: str, place: Path) -> list[str]:
    """Return the files that a pattern stands for."""
    if not set(word) & set("*?"):
        return [word]
    return sorted(path.relative_to(place).as_posix() for path in place.glob(word)) or [word]


DOCUMENTED = documented()
