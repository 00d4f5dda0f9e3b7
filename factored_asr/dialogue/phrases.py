"""Phrases that a conversation makes of a grammar's sentences.

Each sentence template is cut at its slots: "turn on [the] {room} [light]" gives the fragments "the
{room} light" and "{room}", and the sentence "turn it on". Templates stay templates, so a phrase
takes no more room in a graph than the sentence it comes from. Candidates are not all sensible:
`conversation.py` keeps those that the reader understands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from factored_asr.dialogue.ellipsis import PARTICLES
from factored_asr.language.grammar import expression as tree
from factored_asr.language.grammar.templates import Scope, Template

DETERMINERS = frozenset("the my our your a an".split())
PREPOSITIONS = frozenset("in on of at for to by with from".split())
QUANTIFIERS = frozenset("all every each both any one of".split())
PRONOUNS = tree.Alternative((tree.Text("it"), tree.Text("that"), tree.Text("them")))
THERE = tree.Text("there")
MENDS = tree.Alternative(tuple(map(tree.Text, ("no", "i mean", "sorry", "no i mean"))))
EXCEPT = tree.Alternative(tuple(map(tree.Text, ("except", "but", "but not", "except for"))))
AND = tree.Text("and")
REPAIRED = 0.02  # probability of a repair, and of a second name, after a slot
MANY = 64  # wordings of a part that are looked at

_Part = tree.Expression


@dataclass(frozen=True)
class Phrase:
    """A candidate: its kind, and a template of its wordings."""

    kind: str
    """``pointed`` ("turn it on"), ``fragment`` ("the hall"), ``bare`` ("hall", "nineteen"),
    ``state`` ("off", "warmer")."""
    template: Template


class Phrases:
    """Cuts the templates of one grammar.

    A list is a name if it has a determiner or a preposition before it somewhere; a number if it is
    a range. Only these make fragments, and only names are pointed at.
    """

    def __init__(self, templates: Sequence[Template]):
        self._names = {
            part.name for template in templates
            for parts in _everywhere(template.expression, template.scope)
            for before, part in zip(parts, parts[1:], strict=False)
            if isinstance(part, tree.ListReference)
            and _is(before, DETERMINERS | PREPOSITIONS, template.scope)
        }

    def of(self, template: Template) -> Iterator[Phrase]:
        """Yield the phrases that may come from a sentence template."""
        for parts in _everywhere(template.expression, template.scope):
            for kind, kept in self._fragments(parts, template.scope):
                yield Phrase(kind, _of(template, kept))
        parts = parts_of(template.expression, template.scope)
        for kept in self._pointed(parts, template.scope):
            yield Phrase("pointed", _of(template, kept))

    def _fragments(self, parts: list[_Part], scope: Scope) -> Iterator[tuple[str, list[_Part]]]:
        """Yield parts around a slot: bare, and with what may stand before it."""
        for i, part in enumerate(parts):
            named = self._is_name(part, scope)
            if not _value(part, scope) or i == 0 and not named:
                continue
            if not named and not _is_range(part, scope):
                yield "state", [part]
                continue
            for end in _ends(parts, i + 1, scope):
                yield "bare", parts[i:end]
                before = list[_Part]()
                for other in reversed(parts[:i]):
                    if not _is(other, DETERMINERS | PREPOSITIONS, scope):
                        break
                    before.insert(0, _said(other, scope))
                    yield "fragment", [*before, *parts[i:end]]
                    if not _optional(other, scope):
                        break

    def _pointed(self, parts: list[_Part], scope: Scope) -> Iterator[list[_Part]]:
        """Yield the sentence with a pronoun for each name in it."""
        for start in range(1, len(parts)):
            before = parts[start - 1]
            determined = _is(parts[start], DETERMINERS, scope)
            if set(" ".join(_wordings(before, scope) or ["?"]).split()) <= QUANTIFIERS:
                continue
            named = self._is_name(parts[start], scope) and not _is(before, DETERMINERS, scope)
            if not (determined and start + 1 < len(parts) or named):
                continue
            end = max(_ends(parts, start + determined + 1, scope))
            if _is(before, PREPOSITIONS, scope) and not _is(before, PARTICLES, scope):
                yield [*parts[: start - 1], THERE, *parts[end:]]
                continue
            kept = [*parts[:start], PRONOUNS]
            if _plain(before, scope) and _optional(before, scope) and start > 1:
                kept = [*parts[: start - 1], PRONOUNS]
            elif self._is_particle(before, scope):
                kept = [*parts[: start - 1], PRONOUNS, before]
            yield [*kept, *parts[end:]]
            for last in self._of_name(parts, end, scope):
                yield [*kept, *parts[last:]]

    def _of_name(self, parts: Sequence[_Part], end: int, scope: Scope) -> Iterator[int]:
        """Yield the end of "in the hall" after "the light"."""
        if end < len(parts) and _is(parts[end], PREPOSITIONS, scope):
            at = end + 1
            at += at < len(parts) and _is(parts[at], DETERMINERS, scope)
            if at < len(parts) and self._is_name(parts[at], scope):
                yield at + 1

    def repaired(self, template: Template, between: tree.Expression) -> Iterator[Template]:
        """Yield sentences in which another value may follow one: "the hall | no the porch".

        `between` are the words between the two.
        """
        scope = template.scope
        parts = parts_of(template.expression, scope)
        for i, part in enumerate(parts):
            if self._is_name(part, scope) or _is_range(part, scope):
                determined = i > 0 and _is(parts[i - 1], DETERMINERS, scope)
                again = _joined([between, *(parts[i - 1 : i] if determined else []), part])
                more = tree.Alternative((tree.EMPTY, again), (1 - REPAIRED, REPAIRED))
                yield _of(template, [*parts[: i + 1], more, *parts[i + 1 :]])

    def _is_name(self, part: _Part, scope: Scope) -> bool:
        return (isinstance(part, tree.ListReference) and part.name in self._names
                and _value(part, scope) and not _is_range(part, scope))

    def _is_particle(self, part: _Part, scope: Scope) -> bool:
        """Return True for "on" in "turn on the light", also as a list."""
        if isinstance(part, tree.ListReference):
            forms = {" ".join(f) for value in scope.lists[part.name].values for f in value.forms}
            return not scope.lists[part.name].is_range and bool(forms & PARTICLES)
        return _is(part, PARTICLES, scope)


def excepted(template: Template, fragment: Template) -> Template:
    """Return "all the lights except the hall" of "all the lights" and "the hall"."""
    return _of(template, [template.expression, EXCEPT, fragment.expression])


def parts_of(expression: _Part, scope: Scope) -> list[_Part]:
    """Return what stands between the blanks of an expression; rules of several parts are split."""
    parts: list[list[_Part]] = [[]]
    for item in expression.items if isinstance(expression, tree.Sequence) else (expression,):
        match item:
            case tree.Text(text):
                for i, piece in enumerate(text.split(" ")):
                    if i:
                        parts.append([])
                    if piece:
                        parts[-1].append(tree.Text(piece))
            case tree.RuleReference(name):
                inner = parts_of(scope.rules[name].expression, scope)
                parts[-1] += [item] if len(inner) == 1 else inner[:1]
                parts += [[each] for each in inner[1:]] if len(inner) > 1 else []
            case _:
                parts[-1].append(item)
    return [tree.sequence(each) for each in parts if each]


def _everywhere(expression: _Part, scope: Scope) -> Iterator[list[_Part]]:
    """Yield the parts of an expression, and those of alternatives in it that hold a list."""
    parts = parts_of(expression, scope)
    yield parts
    for part in parts:
        if isinstance(part, tree.RuleReference):
            part = scope.rules[part.name].expression
        if isinstance(part, tree.Alternative | tree.Permutation):
            for branch in part.items:
                if not _plain(branch, scope):
                    yield from _everywhere(branch, scope)


def _ends(parts: Sequence[_Part], end: int, scope: Scope) -> Iterator[int]:
    """Yield where a name that goes on to `end` may end: before any word that must be there."""
    while end < len(parts) and _plain(parts[end], scope):
        if _is(parts[end], PREPOSITIONS | DETERMINERS | PARTICLES, scope):
            break
        if not _optional(parts[end], scope):
            yield end
        end += 1
    yield end


def _value(part: _Part, scope: Scope) -> bool:
    """Return True for a list that fills a slot, but a wildcard."""
    return (isinstance(part, tree.ListReference) and bool(part.slot)
            and not scope.lists[part.name].wildcard)


def _is_range(part: _Part, scope: Scope) -> bool:
    return isinstance(part, tree.ListReference) and scope.lists[part.name].is_range


def _plain(part: _Part, scope: Scope) -> bool:
    """Return True for words alone, without lists."""
    match part:
        case tree.ListReference():
            return False
        case tree.RuleReference(name):
            return _plain(scope.rules[name].expression, scope)
    return all(_plain(child, scope) for child in tree.children(part))


def _is(part: _Part, words: frozenset[str], scope: Scope) -> bool:
    """Return True if a part is one of these words, or nothing."""
    said = _wordings(part, scope)
    return said is not None and said != {""} and said <= words | {""}


def _optional(part: _Part, scope: Scope) -> bool:
    return "" in (_wordings(part, scope) or ())


def _said(part: _Part, scope: Scope) -> _Part:
    """Return a part without the choice to leave it out."""
    words = sorted((_wordings(part, scope) or set()) - {""})
    return tree.Alternative(tuple(map(tree.Text, words)))


def _wordings(part: _Part, scope: Scope) -> set[str] | None:
    """Return all that a part may say; None if it holds a list, or too many wordings."""
    match part:
        case tree.Text(text):
            return {" ".join(text.split())}
        case tree.RuleReference(name):
            return _wordings(scope.rules[name].expression, scope)
        case tree.Alternative(items):
            branches = [_wordings(item, scope) for item in items]
            return None if None in branches else {word for b in branches for word in b or ()}
        case tree.Sequence(items):
            inner = [_wordings(item, scope) for item in items]
            if None in inner:
                return None
            ways = product(*(sorted(each or ()) for each in inner))
            found = {" ".join(" ".join(way).split()) for way in islice(ways, MANY)}
            return found if len(found) < MANY else None
    return None


def _joined(parts: Sequence[_Part]) -> _Part:
    items = list[_Part]()
    for part in parts:
        items += [part] if not items else [tree.Text(" "), part]
    return tree.sequence(items)


def _of(template: Template, parts: Sequence[_Part]) -> Template:
    return replace(template, expression=_joined(parts), count=None)
