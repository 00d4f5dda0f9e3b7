"""Sentences of pages and of docstrings, to count their words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^ *(```|:::|\$\$).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
ITEM = re.compile(r"^(?:[*+-]|\d+\.)\s+")
ROW = re.compile(r"^\S+(?: \S+)*\s{2,}\S")
UNDERLINE = re.compile(r"^[-=~ ]{3,}$")
END = re.compile(r"(?<=[.!?])[\"')”*_]*\s+(?=[\"'(“*_`{]*[A-Z0-9`])")
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|al|vs|Fig|Sec|pp?|No|cf|Mr|Dr)\.")
INLINE = (
    (re.compile(r"\{[\w:]+\}`[^`]*`|``[^`]*``|:[\w:]+:`[^`]*`|`[^`]*`"), "Code"),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\$[^$]+\$"), "Formula"),
    (re.compile(r"https?://\S+"), "address"),
)
WORD = re.compile(r"[^\W_][\w'’.,%/+×·-]*")


def sentences(paragraph: str) -> Iterator[str]:
    """Yield the sentences of one paragraph."""
    for pattern, kept in INLINE:
        paragraph = pattern.sub(kept, paragraph)
    text = ABBREVIATIONS.sub(r"\1", " ".join(paragraph.split()))
    yield from END.split(text)


def n_words(sentence: str) -> int:
    """Return the number of words; code, a formula or a link counts as its words in the text."""
    return len(WORD.findall(sentence))


def of_markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, sentence) of a page: paragraphs, items and table cells; no code."""
    def blank(match: re.Match[str]) -> str:
        return "\n" * match.group().count("\n")

    yield from _of_lines(FENCE.sub(blank, COMMENT.sub(blank, text)).split("\n"))


def _of_lines(lines: list[str], *, by_indent: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line, sentence); `by_indent`: another indentation begins another block."""
    block: list[str] = []
    first, margin = 1, 0
    for number, line in enumerate([*lines, ""], 1):
        stripped, indent = line.strip(), len(line) - len(line.lstrip())
        row = by_indent and ROW.match(stripped)
        alone = stripped.startswith(("#", "|", ">>>")) or bool(UNDERLINE.match(stripped))
        item = ITEM.match(stripped)
        moved = by_indent and number > 2 and indent != margin
        if not stripped or alone or item or moved or row:
            for sentence in sentences(" ".join(block)):
                yield first, sentence
            block, first = [], number
        margin = indent + (item.end() if item else 0)
        if stripped.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", stripped):
                for sentence in sentences(cell):
                    yield number, sentence
        elif stripped and not alone:
            block.append(ITEM.sub("", stripped))


def of_docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, sentence) of the docstrings of a module, of its names and of its fields."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    for line, sentence in of_docstring(value.value):
                        yield value.lineno + line - 1, sentence


def of_docstring(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, sentence) of one docstring: no examples, no literal blocks."""
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    kept, literal, doctest = [], False, False
    for before, line in zip(["", *lines], lines, strict=False):
        indent = len(line) - len(line.lstrip())
        stripped = line.strip()
        if stripped.startswith(">>>"):
            doctest = True
        elif not stripped:
            doctest = False
        if literal and stripped and indent <= margin:
            literal = False
        if (not before.strip() or before.strip().endswith("::")) and indent >= margin + 4:
            literal = literal or indent > margin + 3 and not before.strip()
        kept.append("" if literal or doctest else line)
    yield from _of_lines(kept, by_indent=True)
