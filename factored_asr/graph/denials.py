"""Denied sentences: "do not …", "stop …ing", "I don't want …" and the commands of a grammar.

A grammar has its commands only, so "do not close the blinds" would be recognised as the command
that it denies, with the denial taken for silence. The graph of a grammar therefore has a second
part: each sentence denied, at no further cost. Both parts end in states of their own, so the search
knows what the best denied reading costs next to the best plain one; `lattice.rejection` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.graph.graph import Graph, arcs_of
from factored_asr.lexicon.lexicon import Lexicon, Pronunciation

DENIALS_VERSION = 7
"""Raise it when a grammar is denied in other words or pronunciations than before."""

RARE = 3.0
"""Cost of a denial that is rare before a command, above that of a common one."""
BEFORE_VERB = {
    **dict.fromkeys((
        "do not", "don't", "never", "please don't", "please do not", "no don't", "no do not",
        "i said don't", "i said do not", "i'd rather you didn't", "i would rather you didn't",
        "you must not", "you mustn't", "i don't want you to", "i do not want you to",
        "don't you dare",
    ), 0.0),
    **dict.fromkeys((
        "please never", "i said never", "never ever", "don't ever", "no please don't", "not",
        "i'd rather you did not", "i'd prefer you didn't", "you should not", "you shouldn't",
        "you can't", "you don't have to", "you don't need to", "let's not", "better not",
        "you'd better not", "i didn't want you to", "i don't need you to", "i didn't say",
        "i did not say", "i didn't ask you to", "i told you not to", "i asked you not to",
        "i said not to", "i never said", "make sure you don't", "make sure not to", "try not to",
        "under no circumstances", "could you not", "can you not", "would you not",
        "could you please not", "can you please not", "there's no need to", "no need to",
        "we don't want you to", "whatever you do don't", "and don't", "but don't",
        "i don't think you should", "i do not think you should",
    ), RARE),
}  # fmt: skip
"""What denies the command after it, whose first word is a verb, and what that costs."""
BEFORE_DOING = {
    **dict.fromkeys(("stop", "please stop", "would you mind not"), 0.0),
    **dict.fromkeys((
        "do you mind not", "quit", "avoid", "no more", "how about not", "could you stop",
        "can you stop", "would you stop", "would you please stop", "don't start", "do not start",
        "don't keep", "i'd prefer not", "no stop", "don't bother", "please don't bother",
    ), RARE),
}  # fmt: skip
"""What denies a command whose verb ends in -ing after it."""
BEFORE_NOUN = {"not": RARE, "no not": 1.0, "i said not": 1.0, "but not": RARE, "please not": RARE}
"""What denies a command without a verb after it: "not the kitchen light off"."""
INSTEAD = {
    "i": ("i don't", "i do not", "i never", "i didn't", "i did not"),
    "we": ("we don't", "we do not", "we never"),
    "i'd": ("i wouldn't", "i would not", "i'd not", "i'd rather not"),
    "i'll": ("i won't", "i will not"), "i would": ("i would not", "i wouldn't"),
    "can you": ("can you not", "can you please not"), "will you": ("will you not",),
    "could you": ("could you not", "could you please not"),
    "would you": ("would you not", "would you please not"),
    "please": ("please don't", "please do not", "please never"), "let's": ("let's not",),
}  # fmt: skip
"""First words of a command, and what stands in their place where it is denied."""
DETERMINERS = frozenset("a an the my our your this these that those all every each".split())
QUANTITIES = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
    " hundred half slightly warmer colder hotter cooler higher brighter louder quieter".split()
)
NO_VERBS = DETERMINERS | QUANTITIES | frozenset(
    "i i'd i'll we we'd it what what's how is are who when where why which can could will would may"
    " shall should must and or please in on at for to of off out up down not no yes everything"
    " everyone".split()
)
"""First words that are no verbs; nouns and adjectives are known by the determiners before them."""
CONNECTED = {
    "do": ("D UW", "D AH", "D IH"), "don't": ("D OW N T", "D OW N", "D AH N", "D OW"),
    "not": ("N AA T", "N AO T", "N AA", "N AO", "N AA D"), "never": ("N EH V ER", "N EH V AH"),
    "didn't": ("D IH D N", "D IH D N T", "D IH N T"), "mustn't": ("M AH S N T", "M AH S AH N"),
    "shouldn't": ("SH UH D N T", "SH UH D AH N"), "wouldn't": ("W UH D N T", "W UH D AH N"),
    "rather": ("R AA DH ER", "R AA DH AH", "R AE DH AH"), "you": ("Y UW", "Y AH"),
    "stop": ("S T AA P", "S T AO P"), "to": ("T UW", "T AH", "T IH"), "can't": ("K AA N T",),
}  # fmt: skip
"""Pronunciations of connected speech, further to the dictionary's."""


@dataclass(frozen=True)
class Denials:
    """How the sentences of a grammar are denied, and how that is said."""

    lexicon: Lexicon
    """The dictionary, with pronunciations of connected speech."""
    before_verb: Mapping[str, float] = field(default_factory=dict)
    before_doing: Mapping[str, float] = field(default_factory=dict)
    before_noun: Mapping[str, float] = field(default_factory=dict)
    before_all: tuple[str, ...] = ()
    """Prefixes of the options that deny."""
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verbs: tuple[str, ...] = ()
    """Verbs that sentences begin with."""
    doing: Mapping[str, str] = field(default_factory=dict)
    """The same with -ing, where the dictionary has that."""

    @property
    def words(self) -> frozenset[str]:
        """All words of the denials."""
        before = (self.before_verb, self.before_doing, self.before_noun, self.before_all)
        phrases = [phrase for each in before for phrase in each]
        phrases += [phrase for ways in self.instead.values() for phrase in ways]
        return frozenset(" ".join((*phrases, *self.doing.values())).split())


def denials_for(
    grammar: Graph, names: Sequence[str], lexicon: Lexicon, phones: Collection[str]
) -> Denials:
    """Return the denials of a grammar that a lexicon can pronounce; none if it lacks "not".

    `grammar` is G, an acceptor of word ids, `names` its words by id, `phones` those of the model.
    """
    if not lexicon.knows("not"):
        return Denials(lexicon)

    def known(phrases: Mapping[str, float]) -> dict[str, float]:
        return {each: cost for each, cost in phrases.items() if not lexicon.missing(each.split())}

    more = dict[str, tuple[Pronunciation, ...]]()
    for word, ways in CONNECTED.items():
        split = (tuple(each.split()) for each in ways)
        more[word] = tuple(Pronunciation(each) for each in split if set(each) <= set(phones))
    extended = lexicon.extend(Lexicon({word: ways for word, ways in more.items() if ways}))
    verbs = verbs_of(grammar, names)
    doing = {word: with_ing(word) for word in verbs}
    instead = {first: tuple(known(dict.fromkeys(ways, 0.0))) for first, ways in INSTEAD.items()}
    return Denials(
        extended, known(BEFORE_VERB), known(BEFORE_DOING), known(BEFORE_NOUN), (),
        {first: ways for first, ways in instead.items() if ways},
        verbs, {word: form for word, form in doing.items() if lexicon.knows(form)},
    )


def verbs_of(grammar: Graph, names: Sequence[str]) -> tuple[str, ...]:
    """Return the words that sentences begin with, without those that are no verbs.

    Ids above those of `names` are lists, whose entries are no verbs.
    """
    arcs, sources = grammar.arcs, grammar.sources
    is_word = arcs["word"] < len(names)
    arcs, sources = arcs[is_word], sources[is_word]
    determiner = np.array([name in DETERMINERS for name in names])
    noun = np.isin(sources, np.unique(arcs["target"][determiner[arcs["word"]]]))
    begin = np.unique(arcs["word"][sources == grammar.start])
    verbs = np.setdiff1d(begin[begin > 0], arcs["word"][noun])
    return tuple(names[word] for word in verbs if names[word] not in NO_VERBS)


def denies(phrase: str) -> bool:
    """Return whether words before a command deny it.

    >>> denies("no don't"), denies("please")
    (True, False)
    """
    return any(word in ("not", "never") or word.endswith("n't") for word in phrase.split())


def with_ing(verb: str) -> str:
    """Return the form of a verb that ends in -ing.

    >>> with_ing("close"), with_ing("shut"), with_ing("turn"), with_ing("see")
    ('closing', 'shutting', 'turning', 'seeing')
    """
    letters = verb.lower()
    if len(verb) > 2 and letters.endswith("e") and not letters.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    vowels = [letter in "aeiou" for letter in letters]
    short = sum(vowels) == 1 and len(verb) > 2 and vowels[-2] and letters[-1] not in "aeiouwxy"
    return verb + (verb[-1] if short else "") + "ing"


def denied(grammar: Graph, denials: Denials, words: Mapping[str, int]) -> Graph:
    """Return G, an acceptor of word ids without epsilon arcs, in which each sentence is denied.

    `words` are the ids of all words, those of the denials among them.

    >>> stop = Graph.from_arcs(*arcs_of([(0, 1, 1, 0.0, 1)]), np.array([np.inf, 0.0]))
    >>> said = Lexicon({word: (Pronunciation(("N",)),) for word in ("not", "do", "go", "going")})
    >>> denials = denials_for(stop, ["", "go"], said, ["N"])
    >>> graph = denied(stop, denials, {"go": 1, "do": 2, "not": 3, "going": 4})
    >>> sorted(set(graph.arcs["word"].tolist()))
    [1, 2, 3, 4]
    """
    rows: list[tuple[int, int, int, float, int]] = []
    start, n_states = grammar.n_states, grammar.n_states + 4
    verb, doing, noun = range(start + 1, n_states)

    def lay(phrase: str, cost: float, target: int) -> None:
        nonlocal n_states
        ids = [words[word] for word in phrase.split()]
        inner = range(n_states, n_states + len(ids) - 1)
        for at, (word, to) in enumerate(zip(ids, (*inner, target), strict=True)):
            rows.append((inner[at - 1] if at else start, word, word, 0.0 if at else cost, to))
        n_states += len(inner)

    for phrases, target in (
        (denials.before_verb, verb), (denials.before_doing, doing), (denials.before_noun, noun)
    ):
        for phrase, cost in phrases.items():
            lay(phrase, cost, target)
    for phrase in denials.before_all:
        lay(phrase, 0.0, grammar.start)
    verbs = {words[each] for each in denials.verbs}
    forms = {words[each]: words[form] for each, form in denials.doing.items()}
    others = {words[each] for each in NO_VERBS - DETERMINERS - QUANTITIES if each in words}
    for arc in grammar.arcs[slice(*grammar.first_arc[grammar.start : grammar.start + 2])]:
        word, cost, target = int(arc["word"]), float(arc["cost"]), int(arc["target"])
        if word in verbs:
            rows.append((verb, word, word, cost, target))
        if word in forms:
            rows.append((doing, forms[word], forms[word], cost, target))
        if word not in verbs and word not in others:
            rows.append((noun, word, word, cost, target))
    for first, ways in denials.instead.items():
        for state, cost in _reached(grammar, [words.get(word, -1) for word in first.split()]):
            for phrase in ways:
                lay(phrase, cost, state)
    source, leading = arcs_of(rows)
    final = np.full(n_states, np.inf, np.float32)
    final[: grammar.n_states] = grammar.final
    sources = np.concatenate([grammar.sources, source]).astype(np.int32)
    return Graph.from_arcs(sources, np.concatenate([grammar.arcs, leading]), final, start)


def _reached(grammar: Graph, ids: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield the states after these words at the start, and their costs."""
    found = {grammar.start: 0.0}
    for word in ids:
        ahead = dict[int, float]()
        for state, cost in found.items():
            for arc in grammar.arcs[slice(*grammar.first_arc[state : state + 2])]:
                if arc["word"] == word:
                    target, total = int(arc["target"]), cost + float(arc["cost"])
                    ahead[target] = min(total, ahead.get(target, np.inf))
        found = ahead
    yield from found.items()


def joined(plain: Graph, other: Graph, cost: float) -> Graph:
    """Return one graph of two parts, which share nothing but a new start; `cost` to enter `other`.

    Both have the same words and phones. Its `parts` are the first states of both. Labels that mean
    words stay as they are.
    """
    n = plain.n_states
    start = n + other.n_states
    shifted = other.arcs.copy()
    shifted["target"] += n
    if plain.has_phones:
        shifted["label"] += np.where(shifted["label"] > 0, plain.n_labels, 0).astype(np.int32)
    source, enter = arcs_of([(start, 0, 0, 0.0, plain.start), (start, 0, 0, cost, n + other.start)])
    graph = Graph.from_arcs(
        np.concatenate([plain.sources, other.sources + n, source]).astype(np.int32),
        np.concatenate([plain.arcs, shifted, enter]),
        np.concatenate([plain.final, other.final, np.array([np.inf], np.float32)]), start,
    )
    graph = replace(
        graph, words=plain.words, phones=plain.phones, silence_phones=plain.silence_phones,
        frame_seconds=plain.frame_seconds, parts=(0, n), joint_names=plain.joint_names,
        joints=np.append(plain.joints, _shifted(other.joints, plain.n_arcs)),
    )
    if not plain.has_phones:
        return graph
    more = other.labels.take(np.arange(1, other.n_labels + 1))
    return graph.with_labels(plain.labels.join(more))


def _shifted(joints: np.ndarray, n_arcs: int) -> np.ndarray:
    shifted = joints.copy()
    shifted["arc"] += n_arcs
    return shifted
