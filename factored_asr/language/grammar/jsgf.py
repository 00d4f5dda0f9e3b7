"""JSGF, the Java Speech Grammar Format (JSpeech Grammar Format, W3C Note 2000-06-05).

Every public rule is an intent. A tag fills a slot: ``(kitchen | hall) {room}`` with the recognised
words, ``(half | fifty percent) {level=50}`` with a fixed value; ``{intent=...}`` renames the
intent. Weights ``/3/`` become costs. Imports and recursion are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from factored_asr.errors import FormatError
from factored_asr.language.grammar import expression as tree
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

    Raises FormatError, with file and line, for what is not JSGF, an import, or no public rule.
    """
    return _JsgfReader(path, text).read()


class _JsgfReader:
    """Recursive descent over the tokens, matches of `_TOKEN`, of one grammar."""

    def __init__(self, path: str, text: str):
        self.path, self.text = path, text
        header = _HEADER.match(text)
        if header is None:
            raise FormatError("a JSGF grammar begins with '#JSGF V1.0;'", path, 1)
        self.tokens = list(self.tokenise(header.end()))
        self.index = 0
        self.grammar = ""

    def tokenise(self, position: int) -> Iterator[re.Match[str]]:
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self.error(f"unexpected {self.text[position]!r}", position)
            if match.lastgroup != "blank":
                yield match
            position = match.end()

    def line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def error(self, message: str, position: int | None = None) -> FormatError:
        if position is None:
            token = self.peek()
            position = token.start() if token else len(self.text)
        return FormatError(message, self.path, self.line(position))

    def peek(self) -> re.Match[str] | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def at(self, *texts: str) -> bool:
        token = self.peek()
        return token is not None and token.lastgroup in ("sign", "word") and token[0] in texts

    def take(self, kind: str, what: str) -> re.Match[str]:
        token = self.peek()
        if token is None or token.lastgroup != kind or (kind == "sign" and token[0] != what):
            found = "the end of the file" if token is None else repr(token[0])
            raise self.error(f"{what if kind != 'sign' else repr(what)} expected, found {found}")
        self.index += 1
        return token

    def read(self) -> list[Template]:
        if self.at("grammar"):
            self.index += 1
            self.grammar = self.take("word", "the name of the grammar")[0]
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
            public += [(name, rule)] if is_public else []
        if not public:
            raise FormatError("a JSGF grammar needs a public rule", self.path)
        scope = Scope(rules)
        return [
            Template(rule.text, tree.RuleReference(name), Block(name), scope, self.path, rule.line)
            for name, rule in public
        ]

    def rule(self) -> tuple[str, Rule]:
        token = self.take("rule", "a rule <name>")
        self.take("sign", "=")
        expression = self.alternatives(0)
        end = self.take("sign", ";")
        text = " ".join(self.text[token.start() : end.end()].split())
        return self.local_name(token), Rule(text, expression, self.path, self.line(token.start()))

    def local_name(self, token: re.Match[str]) -> str:
        return token[0][1:-1].removeprefix(f"{self.grammar}.")

    def alternatives(self, depth: int) -> tree.Expression:
        if depth > tree.MAX_DEPTH:
            raise self.error(f"brackets nest deeper than {tree.MAX_DEPTH}")
        items, weights = [], []
        while True:
            token = self.peek()
            if token is not None and token.lastgroup == "weight":
                weights.append(float(self.take("weight", "a weight")[0].strip("/ \t\n")))
            items.append(self.sequence(depth))
            if not self.at("|"):
                break
            self.index += 1
        if len(items) == 1:
            return items[0]
        if weights and (len(weights) != len(items) or not 0 < sum(weights) < math.inf):
            raise self.error("either all alternatives have a finite weight, one above 0, or none")
        return tree.Alternative(tuple(items), tuple(weights) or None)

    def sequence(self, depth: int) -> tree.Expression:
        items: list[tree.Expression] = []
        while (token := self.peek()) is not None and not self.at("|", ")", "]", ";"):
            if token.lastgroup in ("weight", "tag") or self.at("*", "+", "="):
                raise self.error(f"{token[0]!r} stands after nothing")
            items.append(self.item(token, depth))
        if not items:
            raise self.error("a word, rule or bracket expected")
        return tree.sequence(items)

    def item(self, token: re.Match[str], depth: int) -> tree.Expression:
        self.index += 1
        found: tree.Expression
        if token.lastgroup == "rule":
            name = self.local_name(token)
            special: dict[str, tree.Expression] = {"NULL": tree.EMPTY, "VOID": tree.Alternative(())}
            found = special.get(name, tree.RuleReference(name))
        elif token[0] in ("(", "["):
            found = self.alternatives(depth + 1)
            self.take("sign", ")" if token[0] == "(" else "]")
            if token[0] == "[":
                found = tree.Alternative((found, tree.EMPTY))
        else:
            word = token[0][1:-1] if token.lastgroup == "quoted" else token[0]
            plain = re.sub(r"\\(.)", r"\1", word)
            found = tree.Text(f" {plain} ")  # blanks: nothing is joined in JSGF
        return self.operators(found)

    def operators(self, found: tree.Expression) -> tree.Expression:
        """Apply ``*``, ``+`` and tags that follow an item."""
        first = self.index
        while (token := self.peek()) is not None:
            if self.index - first > tree.MAX_DEPTH:
                raise self.error(f"more than {tree.MAX_DEPTH} tags and repeats on one phrase")
            if self.at("*", "+"):
                found = tree.Repeat(found)
                if token[0] == "*":
                    found = tree.Alternative((found, tree.EMPTY))
            elif token.lastgroup == "tag":
                content = re.sub(r"\\(.)", r"\1", token[0][1:-1]).strip()
                match = _TAG.fullmatch(content.removesuffix(";").rstrip())
                if match is None:
                    raise self.error(f"a tag is {{slot}} or {{slot=value}}, got {token[0]}")
                value = None if match[2] is None else match[2].strip("\"'")
                found = tree.Tagged(found, match[1], value)
            else:
                break
            self.index += 1
        return found
