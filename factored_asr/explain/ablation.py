"""What would have been heard without a factor, or with another one in its place.

Each answer is a real decode: the factor's file is replaced by one that says nothing (every word as
likely as any other, every pronunciation as likely), a graph is compiled from it as from any other,
kept in the cache, and searched with the same sound, scales and beams; a grammar's, beside a
background that is compiled from the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import OptionError
from factored_asr.explain.grammar_scorer import GrammarScorer, UnweightedGrammar
from factored_asr.graph import Graph, build_graph
from factored_asr.language import NGramModel, write_arpa
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.recipe import Progress, Recipe, cached_graph
from factored_asr.recognizer.session import Session, decide
from factored_asr.storage.cache import cache_folder, content_key
from factored_asr.storage.writing import whole_file

MUTABLE = ("language", "background", "weights", "pronunciation", "variants", "transitions")
"""What can be muted: see `mutings`."""


@dataclass(frozen=True)
class Muted:
    """A decode with one factor muted or swapped."""

    name: str
    """One of `MUTABLE`, ``other_lm`` or ``other_lexicon``."""
    label: str
    """What was done, in words."""
    text: str
    """What was heard then."""
    cost: float
    """Of its best path; costs of different graphs cannot be compared."""
    compile_seconds: float
    """Spent on its graph: compiling it, or finding it in the cache."""
    compiled: bool
    """False where the graph was in the cache, or is that of the decode that is explained."""
    note: str = ""
    """What there was to say besides."""


@dataclass(frozen=True)
class Muting:
    """How a factor is muted: the graph of the decode without it."""

    name: str
    label: str
    recipe: Recipe | None
    """Of the graph; None: there is nothing to mute, and nothing else would be heard."""
    note: str = ""
    compile: Callable[[], Graph] | None = None
    """Makes the graph where the recipe's own way does not; it is kept under its name."""

    def graph(self, model: AcousticModel, progress: Progress | None) -> tuple[Graph, bool]:
        """The graph, and whether it had to be compiled."""
        assert self.recipe is not None
        compiled = False

        def make() -> Graph:
            nonlocal compiled
            compiled = True
            assert self.recipe is not None
            return self.compile() if self.compile else self.recipe.compile(model, progress)

        parts = ("explain", self.name) if self.compile else ()
        key = content_key(*parts, self.recipe.key()) if parts else self.recipe.key()
        return cached_graph(key, self.recipe.about(), make), compiled


def silent_lm(words: Iterable[str]) -> Path:
    """An n-gram model that says nothing: every word, and the end, at cost 0.

    Returns the ARPA file, in the cache.
    """
    names = ("<eps>", "<s>", "</s>", *sorted(set(words) - {"<s>", "</s>", "<unk>", "<UNK>"}))
    ids = np.arange(1, len(names))
    zeros = np.zeros(len(ids))
    model = NGramModel.from_ngrams(names, [(ids[:, None], zeros, zeros)])
    path = cache_folder() / "explain" / f"{content_key('silent lm', names)}.arpa"
    return _kept(path, lambda file: write_arpa(model, file))


def silent_lexicon(lexicon: Lexicon, words: Iterable[str], *, first_only: bool = False) -> Path:
    """These words' pronunciations with probability 1 each; or the first of each word alone.

    Returns the dictionary file, in the cache.
    """
    entries = {
        word: tuple(Pronunciation(each.phones) for each in lexicon.find(word))
        for word in sorted(words) if not lexicon.missing([word])
    }
    if first_only:
        entries = {word: spoken[:1] for word, spoken in entries.items()}
    path = cache_folder() / "explain" / f"{content_key('lexicon', entries)}.dict"
    return _kept(path, lambda file: Lexicon(entries).write(file))


def _kept(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        with whole_file(path) as part:
            write(part)
    return path


def mutings(
    names: Iterable[str],
    recipe: Recipe,
    model: AcousticModel,
    graph: Graph,
    lexicon: Lexicon,
    scorer: object,
) -> Iterator[Muting]:
    """How to mute each of these factors.

    ``language``: LM scale 0, any words of the graph in any order. ``background``: the sentences of
    a grammar, with nothing beside them. ``weights``: these sentences, all at one cost.
    ``pronunciation``: every pronunciation at one cost. ``variants``: each word's first
    pronunciation alone. ``transitions``: no cost of staying in a state or leaving it.

    Raises
    ------
    OptionError
        There is no factor of that name.
    """
    settings = recipe.settings
    words = list(graph.words[1:])
    for name in names:
        if name not in MUTABLE:
            raise OptionError(f"what can be muted is {', '.join(MUTABLE)}; got '{name}'")
        if name == "language":
            label = f"any of its {len(words):,} words in any order, none likelier than another"
            without = replace(
                recipe, grammar=None, lm=silent_lm(words),
                options=replace(settings, max_ngrams=0),
            )
            yield Muting(name, ("no grammar: " if recipe.grammar else "LM scale 0: ") + label,
                         without)
        elif name == "background" and recipe.grammar and settings.background is not None:
            label = "no background: the nearest sentence of the grammar, whatever was said"
            alone = replace(settings, background=None)
            yield Muting(name, label, replace(recipe, options=alone))
        elif name == "weights" and recipe.grammar:
            yield _unweighted(recipe, model, lexicon, scorer)
        elif name in ("pronunciation", "variants"):
            yield _pronunciations(name, recipe, lexicon, words)
        elif name == "transitions":
            options = replace(settings.graph, transition_scale=0.0)
            still = replace(recipe, options=replace(settings, graph=options))
            nothing = settings.graph.transition_scale == 0
            yield Muting(name, "HMM transitions at no cost", None if nothing else still,
                         "their scale is 0 already" if nothing else "")


def _unweighted(
    recipe: Recipe, model: AcousticModel, lexicon: Lexicon, scorer: object
) -> Muting:
    label = "the grammar's sentences, none likelier than another"
    if isinstance(scorer, GrammarScorer) and not scorer.is_weighted:
        return Muting("weights", label, None, "they are equally likely already")

    def make() -> Graph:
        assert recipe.grammar is not None
        grammar = UnweightedGrammar.read_unweighted(recipe.grammar)
        return build_graph(model, lexicon, grammar, recipe.settings.graph)

    return Muting("weights", label, recipe, compile=make)


def _pronunciations(name: str, recipe: Recipe, lexicon: Lexicon, words: list[str]) -> Muting:
    spoken = [lexicon.find(word) for word in words]
    if name == "pronunciation":
        label = "every pronunciation at no cost"
        if all(each.probability == 1 for several in spoken for each in several):
            return Muting(name, label, None, "the dictionary gives each probability 1 already")
    else:
        label = "each word's first pronunciation alone"
        if all(len(several) == 1 for several in spoken):
            return Muting(name, label, None, "no word has a second one")
    path = silent_lexicon(lexicon, words, first_only=name == "variants")
    more = {word: lexicon.find(word)[0].phones for word in recipe.read_words()}
    return Muting(name, label, replace(
        recipe, lexicon=path, words=more or None, guess=False, options=recipe.settings
    ))


def swaps(
    recipe: Recipe, other_lm: Path | None = None, other_lexicon: Path | None = None
) -> Iterator[Muting]:
    """Other files in the place of a factor's own; a language model may take that of a grammar."""
    settings = recipe.settings
    if other_lm is not None:
        yield Muting("other_lm", f"language model {other_lm.name}", replace(
            recipe, grammar=None, lm=other_lm, options=settings
        ))
    if other_lexicon is not None:
        yield Muting("other_lexicon", f"dictionary {other_lexicon.name}", replace(
            recipe, lexicon=other_lexicon, options=settings
        ))


def hear(
    muting: Muting,
    session: Session,
    heard: tuple[str, float],
    progress: Progress | None = None,
) -> Muted:
    """Decode the sound without a factor.

    Parameters
    ----------
    session
        Of the decode that is explained, finished: the same scores are searched.
    heard
        Text and cost of the decode that is explained: the answer where nothing is to be muted.
    """
    if muting.recipe is None:
        return Muted(muting.name, muting.label, *heard, 0.0, False, muting.note)
    begin, model = time.perf_counter(), session.pipeline.model
    graph, compiled = muting.graph(model, progress)
    background = muting.recipe.background(model)
    seconds = time.perf_counter() - begin
    beam = replace(muting.recipe.settings.beam, lattice_beam=0.0)
    settings = replace(muting.recipe.settings, beam=beam)
    pipeline = replace(
        session.pipeline, graph=graph, background=background, options=settings, second_pass=None,
        is_grammar=muting.recipe.grammar is not None, interpret=None,
    )
    found = session.redecode(pipeline)
    said, path = decide(pipeline, found), found.lattice.best()
    note = said.reason or found.lattice.reason or muting.note
    return Muted(muting.name, muting.label, said.text, path.cost, seconds, compiled, note)
