"""From a decode to its explanation: the path taken apart, its rivals, the decodes without a factor.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.model import in_blocks
from factored_asr.acoustic.gmm.noise_adaptation import NoiseAdapter
from factored_asr.decoder.background import pdfs_beside
from factored_asr.errors import MissingError, OptionError
from factored_asr.explain.ablation import hear, mutings, swaps
from factored_asr.explain.background import Beside, beside
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import Prices
from factored_asr.explain.grammar_scorer import GrammarScorer
from factored_asr.explain.path_costs import FrameScores, Part, path_parts
from factored_asr.explain.path_states import PathStates, Scores
from factored_asr.explain.rivals import rivals
from factored_asr.features import FrontEnd
from factored_asr.graph import Graph
from factored_asr.language import Grammar, NGramScorer, WordScorer
from factored_asr.lattice import Lattice
from factored_asr.lexicon.g2p import GuessWarning
from factored_asr.models.recipe import Progress, Recipe
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.alignment import states_of
from factored_asr.results.transcript import Transcript

COMMANDS_BEAM, DICTATION_BEAM = 200.0, 90.0  # of lattices where none is asked for; unscaled


@dataclass(frozen=True)
class ExplainOptions:
    """How widely rivals are looked for, and what is decoded again to see what a factor did."""

    lattice_beam: float | None = None
    """Cost by which rivals may lie behind the best path, and the least beam of the search; higher:
    slower. None: 200 times the acoustic scale with a grammar; else 90 times, and the search's beam
    as it is."""
    mute: tuple[str, ...] = ("language", "background", "weights", "pronunciation")
    """Factors that are muted one by one, of `muted.MUTABLE`; a graph is compiled for each, once."""
    other_lm: Path | None = None
    """An n-gram model to be heard with in place of the language factor."""
    other_lexicon: Path | None = None
    """A dictionary to be heard with in place of the model's own."""

    def __post_init__(self) -> None:
        for name in ("other_lm", "other_lexicon"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise MissingError(f"{path}: no such file")
            object.__setattr__(self, name, None if path is None else Path(path))
        if self.lattice_beam is not None and not 0 < self.lattice_beam < float("inf"):
            raise OptionError(f"lattice_beam must be above 0 and finite, got {self.lattice_beam}")

    def widened(self, settings: DecodeOptions, grammar: Path | None) -> DecodeOptions:
        """How the decode that is explained is searched: as ever, but with room for rivals."""
        beam = settings.beam
        if self.lattice_beam is not None:
            width = self.lattice_beam, max(beam.beam, self.lattice_beam)
        else:
            unscaled = COMMANDS_BEAM if grammar else DICTATION_BEAM
            lattice_beam = unscaled * settings.least_scale
            width = lattice_beam, lattice_beam if grammar else beam.beam
        return replace(settings, beam=replace(
            beam, lattice_beam=max(beam.lattice_beam, width[0]), beam=max(beam.beam, width[1])
        ))


def explain(
    said: Transcript,
    samples: np.ndarray,
    model: GmmModel,
    graph: Graph,
    recipe: Recipe | None,
    options: ExplainOptions | None = None,
    progress: Progress | None = None,
    background: Graph | None = None,
) -> Explanation:
    """Why a sound was heard like this; `Recognizer.explain` decodes it first.

    Parameters
    ----------
    said
        What a search over the graph made of the sound, with its lattice; no second pass.
    samples
        (n_samples,) float32 at the model's rate.
    recipe
        What the graph was compiled from.
    progress
        Is told each stage of compiling the graphs of muted factors.
    background
        What the graph was searched beside.

    Raises
    ------
    MissingError
        There is no recipe: the factors of a ready graph are not known. Or a file is missing.
    OptionError
        The words were chosen by a second pass, or there is no factor of a name to be muted.

    Examples
    --------
    >>> from factored_asr import Recognizer
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> bare = ExplainOptions(mute=())
    >>> explained = recognizer.explain("examples/audio/kitchen_light_on.wav", options=bare)
    >>> [each.word for each in explained.words]
    ['turn', 'on', 'the', 'kitchen', 'light']
    >>> abs(explained.costs.total - explained.cost) < 1e-3
    True
    """
    options = options or ExplainOptions()
    if recipe is None:
        raise MissingError("this recogniser has no factors to look at: it was made from a graph")
    second = recipe.settings.second_pass
    if recipe.rescore_lms or second.reweighs or second.minimise_risk:
        raise OptionError("what is explained is the first pass: leave out what follows it")
    settings, seconds, rate = recipe.settings, model.frame_seconds, model.features.sample_rate
    score, scale = _scores_of(samples, model, settings, graph, pdfs_beside(graph, background))
    empty = Explanation(
        said, is_grammar=recipe.grammar is not None, acoustic_scale=scale,
        frame_seconds=seconds, samples=samples, sample_rate=rate,
    )
    path = said.lattice.best() if said.lattice is not None else None
    if said.lattice is None or path is None or not path.n_frames:
        return empty
    prices = prices_of(recipe, model, graph)
    scores = FrameScores.of(model, score, graph.label_pdf[path.labels])
    parts = path_parts(graph, path, scores, prices)
    states = PathStates(model, settings.graph.transition_scale, score)
    muting = [
        *mutings(options.mute, recipe, model, graph, prices.lexicon, prices.scorer),
        *swaps(recipe, options.other_lm, options.other_lexicon),
    ]
    heard = said.text, path.cost
    return Explanation(
        said, _with_rivals(said.lattice, parts, prices, states, score, background), path.cost,
        tuple(states_of(graph, path, seconds)),
        tuple(hear(each, model, score, heard, progress, said.lattice.in_noise)
              for each in muting),
        empty.is_grammar, empty.acoustic_scale, seconds, samples, rate,
    )


def prices_of(recipe: Recipe, model: GmmModel, graph: Graph) -> Prices:
    """The tables of all factors that a graph was compiled from."""
    lexicon = recipe.read_lexicon()
    if recipe.guess:
        with warnings.catch_warnings():  # told when the graph was compiled
            warnings.simplefilter("ignore", GuessWarning)
            lexicon = recipe.with_guesses(lexicon, graph.words[1:])
    scorer: WordScorer
    if recipe.grammar:
        ids = {word: i for i, word in enumerate(graph.words) if i}
        scorer = GrammarScorer.of(Grammar.read(recipe.grammar), ids, recipe.settings.graph)
    else:
        scorer = NGramScorer(recipe.first_language())
    return Prices(model, lexicon, scorer, recipe.settings.graph)


def _scores_of(
    samples: np.ndarray, model: GmmModel, settings: DecodeOptions, graph: Graph,
    heard: np.ndarray,
) -> tuple[Scores, float]:  # fmt: skip
    """Scores of a sound for any pdfs, as a search over those heard had them; and their scale."""
    front_end, own = FrontEnd(model.features), model.unadapted
    cepstra = front_end.cepstra(samples)
    features = front_end.features_from_cepstra(cepstra)
    scale = settings.scale_of(cepstra, model.features)
    if settings.noise is not None:
        every = np.arange(own.densities.n_pdfs)
        adapter = NoiseAdapter(own, heard, settings.noise, besides=every)
        moved = adapter.scorer_if_noisy(cepstra)
        if moved is not None:
            blocks = in_blocks(moved, scale)
            return lambda pdfs: blocks(features), scale
    return lambda pdfs: own.block_scorer(pdfs, scale)(features), scale


def _with_rivals(
    lattice: Lattice, parts: tuple[Part, ...], prices: Prices, states: PathStates,
    score: Scores, background: Graph | None,
) -> tuple[Explained, ...]:
    """Each part with what the background heard there, and each word with its rival."""
    waiting = iter(rivals(lattice, prices, states, lattice.best().word_ids))
    found = [next(waiting) if part.kind == "word" else None for part in parts]
    rival, others = lattice.rival, tuple[Beside | None, ...]((None,) * len(parts))
    if background is not None and rival is not None and rival.n_frames:
        frames = FrameScores.of(states.model, score, background.label_pdf[rival.labels])
        others = beside(background, rival, frames.path, parts)
    return tuple(Explained(*each) for each in zip(parts, found, others, strict=True))
