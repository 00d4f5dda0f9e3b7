"""JSGF, the Java Speech Grammar Format (JSpeech Grammar Format, W3C Note 2000-06-05).

Every public rule is an intent. A tag fills a slot: ``(kitchen | hall) {room}`` with the recognised
words, ``(half | fifty percent) {level=50}`` with a fixed value; ``{intent=...}`` renames the
intent. Weights ``/3/`` become costs. Imports and recursion are errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from factored_asr.errors import FormatError
from factored_asr.language.grammar.expression import (
    EMPTY,
    MAX_DEPTH,
    Alternative,
    Expression,
    Repeat,
    RuleReference,
    Tagged,
    Text,
    sequence,
)
from factored_asr.language.grammar.templates import Block, Rule, Scope, Template

_HEADER = re.compile(r"\s*#JSGF\s+V[\d.]+[^;\n]*;?")
_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<rule><[^<>\s]+>)"
    r"|(?P<tag>\{(?:\\.|[^\\}])*\})"
    r"|(?P<weight>/\s*(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?\s*/)"
    r'|(?P<quoted>"(?:\\.|[^"\\])*")'
    r"|(?P<sign>[=;|()\[\]*+])"
    r"|(?P<word>(?:\\.|[^\s=;|()\[\]*+<>{}/\"\\])+)",
    re.DOTALL,
)
_TAG = re.compile(r"([\w.-]+)\s*(?:[=:]\s*(.*))?", re.DOTALL)


def read_jsgf(path: str, text: str) -> list[Template]:
    """Read the public rules of a JSGF grammar as templates.

    Raises
    ------
    FormatError
        For what is not JSGF, an import, or a grammar without a public rule; names file and line.
    """
    return _JsgfReader(path, text).read()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


class _JsgfReader:
    """Recursive descent over the tokens of one grammar."""

    def __init__(self, path: str, text: str):
        self.path, self.text = path, text
        header = _HEADER.match(text)
        if header is None:
            raise FormatError("a JSGF grammar begins with '#JSGF V1.0;'", path, 1)
        self.tokens = list(self.tokenise(header.end()))
        self.index = 0
        self.grammar = ""

    def tokenise(self, position: int) -> list[_Token]:
        found = []
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self.error(f"unexpected {self.text[position]!r}", position)
            if (kind := match.lastgroup or "") != "blank":
                found.append(_Token(kind, match.group(), position))
            position = match.end()
        return found

    def line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def error(self, message: str, position: int | None = None) -> FormatError:
        if position is None:
            token = self.peek()
            position = token.start if token else len(self.text)
        return FormatError(message, self.path, self.line(position))

    def peek(self) -> _Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def at(self, *texts: str) -> bool:
        token = self.peek()
        return token is not None and token.kind in ("sign", "word") and token.text in texts

    def take(self, kind: str, what: str) -> _Token:
        token = self.peek()
        if token is None or token.kind != kind or (kind == "sign" and token.text != what):
            found = "the end of the file" if token is None else repr(token.text)
            raise self.error(f"{what if kind != 'sign' else repr(what)} expected, found {found}")
        self.index += 1
        return token

    def read(self) -> list[Template]:
        if self.at("grammar"):
            self.index += 1
            self.grammar = self.take("word", "the name of the grammar").text
            self.take("sign", ";")
        rules: dict[str, Rule] = {}
        public = []
        while self.peek() is not None:
            if self.at("import"):
                raise self.error("imports are not supported: put the rules into one file")
            is_public = self.at("public")
            self.index += is_public
            name, rule = self.rule()
            if name in rules:
                raise FormatError(f"rule <{name}> is defined twice", self.path, rule.line)
            rules[name] = rule
            public += [name] if is_public else []
        if not public:
            raise FormatError("a JSGF grammar needs a public rule", self.path)
        scope = Scope(rules)
        return [
            Template(rules[name].text, RuleReference(name), Block(name), scope, self.path,
                     rules[name].line)
            for name in public
        ]

    def rule(self) -> tuple[str, Rule]:
        token = self.take("rule", "a rule <name>")
        self.take("sign", "=")
        expression = self.alternatives(0)
        end = self.take("sign", ";")
        text = " ".join(self.text[token.start : end.start + 1].split())
        return self.local_name(token), Rule(text, expression, self.path, self.line(token.start))

    def local_name(self, token: _Token) -> str:
        return token.text[1:-1].removeprefix(f"{self.grammar}.")

    def alternatives(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.error(f"brackets nest deeper than {MAX_DEPTH}")
        items, weights = [], []
        while True:
            token = self.peek()
            if token is not None and token.kind == "weight":
                weights.append(float(self.take("weight", "a weight").text.strip("/ \t\n")))
            items.append(self.sequence(depth))
            if not self.at("|"):
                break
            self.index += 1
        if len(items) == 1:
            return items[0]
        if weights and (len(weights) != len(items) or not 0 < sum(weights) < math.inf):
            raise self.error("either all alternatives have a finite weight, one above 0, or none")
        return Alternative(tuple(items), tuple(weights) or None)

    def sequence(self, depth: int) -> Expression:
        items: list[Expression] = []
        while (token := self.peek()) is not None and not self.at("|", ")", "]", ";"):
            if token.kind in ("weight", "tag") or self.at("*", "+", "="):
                raise self.error(f"{token.text!r} stands after nothing")
            items.append(self.item(token, depth))
        if not items:
            raise self.error("a word, rule or bracket expected")
        return sequence(items)

    def item(self, token: _Token, depth: int) -> Expression:
        self.index += 1
        found: Expression
        if token.kind == "rule":
            name = self.local_name(token)
            special: dict[str, Expression] = {"NULL": EMPTY, "VOID": Alternative(())}
            found = special.get(name, RuleReference(name))
        elif token.text in ("(", "["):
            found = self.alternatives(depth + 1)
            self.take("sign", ")" if token.text == "(" else "]")
            if token.text == "[":
                found = Alternative((found, EMPTY))
        else:
            word = token.text[1:-1] if token.kind == "quoted" else token.text
            plain = re.sub(r"\\(.)", r"\1", word)
            found = Text(f" {plain} ")  # blanks: nothing is joined in JSGF
        return self.operators(found)

    def operators(self, found: Expression) -> Expression:
        """Apply ``*``, ``+`` and tags that follow an item."""
        first = self.index
        while (token := self.peek()) is not None:
            if self.index - first > MAX_DEPTH:
                raise self.error(f"more than {MAX_DEPTH} tags and repeats on one phrase")
            if self.at("*", "+"):
                found = Repeat(found)
                if token.text == "*":
                    found = Alternative((found, EMPTY))
            elif token.kind == "tag":
                content = re.sub(r"\\(.)", r"\1", token.text[1:-1]).strip()
                match = _TAG.fullmatch(content.removesuffix(";").rstrip())
                if match is None:
                    raise self.error(f"a tag is {{slot}} or {{slot=value}}, got {token.text}")
                value = None if match[2] is None else match[2].strip("\"'")
                found = Tagged(found, match[1], value)
            else:
                break
            self.index += 1
        return found
