"""Results without a factor, or with another one in its place.

Each is a real decode. The factor's file is replaced by a neutral one (all words equally likely, all
pronunciations equally likely). A graph is compiled from it and kept in the cache, and the same
scores are searched with the same scales and beams. A grammar's background model is compiled from
the same files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import OptionError
from factored_asr.graph import Graph, build_graph
from factored_asr.graph.grammar_scorer import GrammarScorer, Weighted
from factored_asr.language import NGramModel, write_arpa
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.recipe import Progress, Recipe, cached_graph
from factored_asr.recognizer.session import Session, decide
from factored_asr.storage.cache import content_key, kept_file

FACTORS_TO_LEAVE_OUT = (
    "language", "background", "weights", "pronunciation", "variants", "transitions",
)  # fmt: skip
"""What can be left out: see `changes_without`."""


@dataclass(frozen=True)
class Ablation:
    """The result without one factor, or with another one in its place.

    Examples
    --------
    >>> without = Ablation("language", "no language model", "stop music", 80.5, 0.4, compiled=True)
    >>> without.text, without.cost
    ('stop music', 80.5)
    """

    name: str
    """One of `FACTORS_TO_LEAVE_OUT`, ``other_lm`` or ``other_lexicon``."""
    label: str
    """The change, in words."""
    text: str
    """The hypothesis."""
    cost: float
    """Of its best path; costs of different graphs cannot be compared."""
    compile_seconds: float
    """Time to compile the graph or to find it in the cache."""
    compiled: bool
    """False if the graph was in the cache, or is that of the decode that is explained."""
    note: str = ""
    """Reason of a rejection or of an unchanged result."""


@dataclass(frozen=True)
class Change:
    """A change of one factor: the recipe of its graph."""

    name: str
    label: str
    recipe: Recipe | None
    """None: nothing to change, the result is the same."""
    note: str = ""
    compile: Callable[[], Graph] | None = None
    """Compiles the graph in place of the recipe; it is cached under the change's name."""

    def graph(self, model: AcousticModel, progress: Progress | None) -> tuple[Graph, bool]:
        """Return the graph, and whether it had to be compiled."""
        recipe, compiled = self.recipe, False
        assert recipe is not None

        def make() -> Graph:
            nonlocal compiled
            compiled = True
            return self.compile() if self.compile else recipe.compile(model, progress)

        key = recipe.key()
        if self.compile:
            key = content_key("explain", self.name, key)
        return cached_graph(key, recipe.about(), make), compiled


def neutral_lm(words: Iterable[str]) -> Path:
    """Write an n-gram model with every word and the end at cost 0; return its file in the cache."""
    names = ("<eps>", "<s>", "</s>", *sorted(set(words) - {"<s>", "</s>", "<unk>", "<UNK>"}))
    zeros = np.zeros(len(names) - 1)
    model = NGramModel.from_ngrams(names, [(np.arange(1, len(names))[:, None], zeros, zeros)])
    return _cached_file(f"{content_key('silent lm', names)}.arpa", lambda p: write_arpa(model, p))


def neutral_lexicon(lexicon: Lexicon, words: Iterable[str], *, first_only: bool = False) -> Path:
    """Write a dictionary with probability 1 for each pronunciation; return its file in the cache.

    Parameters
    ----------
    first_only
        Keep only the first pronunciation of each word; default: all.
    """
    entries = {
        word: tuple(Pronunciation(each.phones) for each in lexicon.find(word))
        for word in sorted(words) if not lexicon.missing([word])
    }
    if first_only:
        entries = {word: spoken[:1] for word, spoken in entries.items()}
    return _cached_file(f"{content_key('lexicon', entries)}.dict", Lexicon(entries).write)


def _cached_file(name: str, write: Callable[[Path], None]) -> Path:
    return kept_file(f"explain/{name}", write)


def changes_without(
    names: Iterable[str], recipe: Recipe, model: AcousticModel, graph: Graph, lexicon: Lexicon,
    scorer: object,
) -> Iterator[Change]:
    """Yield the change that leaves out each of these factors, where there is such a factor.

    ``language``: LM scale 0, any words of the graph in any order. ``background``: a grammar without
    its background model. ``weights``: all sentences of a grammar at one cost. ``pronunciation``:
    every pronunciation at one cost. ``variants``: only the first pronunciation of each word.
    ``transitions``: no cost of staying in a state or leaving it.

    Raises
    ------
    OptionError
        There is no factor of that name.
    """
    settings, words = recipe.settings, list(graph.words[1:])
    for name in names:
        if name not in FACTORS_TO_LEAVE_OUT:
            raise OptionError(
                f"factors to leave out are {', '.join(FACTORS_TO_LEAVE_OUT)}; got '{name}'"
            )
        if name == "language":
            kind = "no grammar" if recipe.grammar else "LM scale 0"
            yield Change(
                name, f"{kind}: any of its {len(words):,} words in any order, all equally likely",
                replace(recipe, grammar=None, lm=neutral_lm(words),
                        options=replace(settings, max_ngrams=0)),
            )  # fmt: skip
        elif name == "background" and recipe.grammar and settings.background is not None:
            alone = replace(recipe, options=replace(settings, background=None))
            yield Change(name, "no background model: the best sentence of the grammar", alone)
        elif name == "weights" and recipe.grammar:
            yield _unweighted(recipe, model, lexicon, scorer)
        elif name in ("pronunciation", "variants"):
            yield _pronunciations(name, recipe, lexicon, words)
        elif name == "transitions":
            free = replace(settings, graph=replace(settings.graph, transition_scale=0.0))
            same = settings.graph.transition_scale == 0
            yield Change(name, "HMM transitions at no cost",
                         None if same else replace(recipe, options=free),
                         "their scale is 0 already" if same else "")


def _unweighted(
    recipe: Recipe, model: AcousticModel, lexicon: Lexicon, scorer: object
) -> Change:
    label = "the grammar's sentences, all equally likely"
    if isinstance(scorer, GrammarScorer) and not scorer.is_weighted:
        return Change("weights", label, None, "they are equally likely already")

    def make() -> Graph:
        sentences = Weighted(recipe.sentences(lexicon))
        return build_graph(model, lexicon, sentences, recipe.settings.graph)

    return Change("weights", label, recipe, compile=make)


def _pronunciations(name: str, recipe: Recipe, lexicon: Lexicon, words: list[str]) -> Change:
    spoken = [lexicon.find(word) for word in words]
    if name == "pronunciation":
        label, note = "every pronunciation at no cost", "all have probability 1 already"
        same = all(each.probability == 1 for several in spoken for each in several)
    else:
        label, note = "only the first pronunciation of each word", "no word has another one"
        same = all(len(several) == 1 for several in spoken)
    if same:
        return Change(name, label, None, note)
    path = neutral_lexicon(lexicon, words, first_only=name == "variants")
    more = {word: lexicon.find(word)[0].phones for word in recipe.read_words()}
    return Change(name, label, replace(
        recipe, lexicon=path, words=more or None, guess=False, options=recipe.settings
    ))  # fmt: skip


def changes_to(
    recipe: Recipe, other_lm: Path | None = None, other_lexicon: Path | None = None
) -> Iterator[Change]:
    """Yield the changes to other files; a language model may replace a grammar."""
    if other_lm is not None:
        yield Change("other_lm", f"language model {other_lm.name}", replace(
            recipe, grammar=None, lm=other_lm, options=recipe.settings
        ))  # fmt: skip
    if other_lexicon is not None:
        yield Change("other_lexicon", f"dictionary {other_lexicon.name}", replace(
            recipe, lexicon=other_lexicon, options=recipe.settings
        ))  # fmt: skip


def ablation(
    change: Change, session: Session, result: tuple[str, float], progress: Progress | None = None
) -> Ablation:
    """Decode the sound with a changed factor.

    Parameters
    ----------
    session
        Of the decode that is explained, finished: the same scores are searched.
    result
        Text and cost of the decode that is explained, used where there is nothing to change.
    """
    recipe = change.recipe
    if recipe is None:
        return Ablation(change.name, change.label, *result, 0.0, False, change.note)
    begin, model = time.perf_counter(), session.pipeline.model
    graph, compiled = change.graph(model, progress)
    background = recipe.background(model)
    seconds = time.perf_counter() - begin
    settings = recipe.settings
    pipeline = replace(
        session.pipeline, graph=graph, background=background, second_pass=None, interpret=None,
        options=replace(settings, beam=replace(settings.beam, lattice_beam=0.0)),
        is_grammar=recipe.grammar is not None,
    )
    found = session.redecode(pipeline)
    transcript, path = decide(pipeline, found), found.lattice.best()
    return Ablation(change.name, change.label, transcript.text, path.cost, seconds, compiled,
                    transcript.reason or found.lattice.reason or change.note)
