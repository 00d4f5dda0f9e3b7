"""The stage mmi: boosted MMI, which makes the reference likelier than its competitors.

The objective is the log of a quotient. The numerator sums over all paths through the reference,
the denominator over all paths of a lattice with a weak language model. There a path has the more
weight the more phones it has wrong. Source: Povey and others 2008, "Boosted MMI for model and
feature-space discriminative training". Lattices are made once, with the first model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.acoustic.gmm.sums import Sums
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import OptionError
from factored_asr.graph import Graph, GraphOptions, build_alignment_graph, build_graph, make_units
from factored_asr.language.ngram import BEGIN, END, EPSILON, NGramModel
from factored_asr.lexicon import Lexicon
from factored_asr.training import _kernels
from factored_asr.training.alignment import Trained, scores_of
from factored_asr.training.data import TrainingData, over_blocks
from factored_asr.training.ebw import EbwOptions, update_ebw
from factored_asr.training.em import PassReport, Run, mixtures_of, needed
from factored_asr.training.parallel import added, over
from factored_asr.training.phone_lattice import (
    START,
    PhoneLattice,
    holds,
    phone_lattice,
    span_frames,
    span_states,
)


@dataclass(frozen=True)
class MmiOptions:
    """How a model is trained discriminatively."""

    passes: int = 2
    """Updates of the model. Higher: fits the training data better; on half an hour of speech more
    than two hardly help new speakers."""
    acoustic_scale: float = 0.1
    """Factor on log-likelihoods, > 0; lower: more competitors have weight."""
    boost: float = 0.1
    """Added to the log weight of a path for each frame of a wrong phone, >= 0."""
    update: EbwOptions = field(default_factory=EbwOptions)
    """How far Gaussians move."""
    beams: BeamOptions = field(
        default_factory=lambda: BeamOptions(beam=13.0, max_active=3000, lattice_beam=8.0)
    )
    """How many competitors the lattices keep."""
    silence_probability: float = 0.5
    """Probability of a silence between words, (0, 1), as in the alignments."""

    def __post_init__(self) -> None:
        if self.passes < 1 or not self.acoustic_scale > 0 or self.boost < 0:
            raise OptionError("passes must be 1 or more, acoustic_scale above 0, boost 0 or more")
        if not self.beams.lattice_beam > 0:
            raise OptionError("lattices need a lattice_beam above 0")

    @property
    def graph(self) -> GraphOptions:
        """Options of the graphs that are searched; transitions have full weight."""
        return GraphOptions(silence_probability=self.silence_probability)


@dataclass(frozen=True, eq=False)
class MmiLattices:
    """The lattices of an utterance."""

    numerator: PhoneLattice
    """The reference, with all pronunciations and pauses."""
    denominator: PhoneLattice
    """The competitors; the numerator's paths are always among them."""
    phone: np.ndarray
    """(n_frames,) int32: phone of each frame on the best path of the numerator."""

    def pdfs(self, model: GmmModel) -> np.ndarray:
        """Return the pdfs that occur, ascending."""
        spans = np.concatenate([self.numerator.spans, self.denominator.spans])
        used = np.unique(model.hmm_pdfs[model.hmm_index(*spans[:, :START].T)])
        return used[used >= 0]


def train_mmi(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: MmiOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train by boosted MMI, from a model of maximum likelihood; speakers' transforms stay.

    The reports give the objective per frame as the log-likelihood: it is that of the words given
    the sound, at most 0 without boosting. Raises OptionError if there is no model, it has other
    densities than plain mixtures, or no utterance has a lattice.
    """
    options, run, trained = options or MmiOptions(), run or Run(), needed(trained, "mmi", "tri")
    mixtures_of(trained.model)
    lattices = make_lattices(data, lexicon, trained, options, run.jobs)
    failed = sum(each is None for each in lattices)
    if failed == len(lattices):
        raise OptionError("no utterance has lattices: the model does not fit the data")
    done, trained = run.begun or (0, trained)
    for number in range(done + 1, options.passes + 1):
        seen = gather(data, trained, lattices, options, run.jobs)
        densities = update_ebw(mixtures_of(trained.model), seen.numerator, seen.denominator,
                               options.update)
        trained = replace(trained, model=replace(trained.model, densities=densities))
        if run.report:
            odds = seen.objective / max(len(lattices) - failed, 1)
            run.report(PassReport(
                "mmi", number, options.passes, seen.n_frames,
                seen.objective / max(seen.n_frames, 1), densities.n_pdfs, len(densities.weights),
                failed, (f"objective {odds:.4f} an utterance",),
            ))  # fmt: skip
        if run.keep:
            run.keep(number, trained)
    return trained


@dataclass(frozen=True, eq=False)
class MmiStatistics(Sums):
    """Statistics of a pass."""

    numerator: GaussianStatistics
    denominator: GaussianStatistics
    objective: float = 0.0
    """Sum over utterances of log numerator - log boosted denominator."""
    n_frames: int = 0


def unigram(data: TrainingData, lexicon: Lexicon) -> NGramModel:
    """Return a unigram of the data's words: it is weak, so that sounds decide."""
    counts = Counter(word for each in data.utterances for word in each.words if word in lexicon)
    counts[END] = len(data.utterances)
    words = (EPSILON, BEGIN, *sorted(counts))
    frequency = np.array([counts[word] for word in words[2:]], float)
    log_prob = np.append(-99.0, np.log(frequency / frequency.sum()))
    ids = np.arange(1, len(words))[:, None]
    return NGramModel.from_ngrams(words, [(ids, log_prob, np.zeros(len(ids)))])


def make_lattices(
    data: TrainingData, lexicon: Lexicon, trained: Trained, options: MmiOptions, jobs: int = 1
) -> list[MmiLattices | None]:
    """Make the lattices of every utterance; None where either failed."""
    language = unigram(data, lexicon)
    graph = build_graph(trained.model, lexicon, language, options.graph)
    tasks = [
        (data.select(block), lexicon, replace(trained, alignments=()), graph, language, options)
        for block in data.blocks()
    ]
    return [each for block in over(_lattices_of_block, tasks, jobs) for each in block]


def _lattices_of_block(
    data: TrainingData, lexicon: Lexicon, trained: Trained, graph: Graph, language: NGramModel,
    options: MmiOptions,
) -> list[MmiLattices | None]:
    model = trained.model
    units = make_units(model, options.graph.transition_scale)
    found: list[MmiLattices | None] = []
    for i, utterance in enumerate(data.utterances):
        words = utterance.words
        if not words or lexicon.missing(words):
            found.append(None)
            continue
        scores = model.densities.scorer()(trained.observed(data, i))
        scores *= np.float32(options.acoustic_scale)
        text = build_alignment_graph(model, lexicon, words, options.graph, units)
        reference, all_words = (decode(each, scores, options.beams) for each in (text, graph))
        if not (reference.reached_final and all_words.reached_final
                and reference.aligned and all_words.aligned):
            found.append(None)
            continue
        cost = -language.score_sentence(words)
        numerator = phone_lattice(reference, model, scores).with_cost(cost)
        denominator = phone_lattice(all_words, model, scores)
        if not holds(all_words, words):
            denominator = denominator.joined(numerator)
        best = reference.best().phones
        phone = np.repeat([model.phones.index(each.phone) for each in best],
                          [each.end - each.start for each in best]).astype(np.int32)  # fmt: skip
        found.append(MmiLattices(numerator, denominator, phone))
    return found


def gather(
    data: TrainingData, trained: Trained, lattices: Sequence[MmiLattices | None],
    options: MmiOptions, jobs: int = 1,
) -> MmiStatistics:
    """Take statistics of all lattices under a model."""
    light = replace(trained, alignments=())
    return added(over_blocks(_gather_block, data, lattices, jobs, light, options))


def _gather_block(
    data: TrainingData, lattices: Sequence[MmiLattices | None], trained: Trained,
    options: MmiOptions,
) -> MmiStatistics:
    model, densities = trained.model, mixtures_of(trained.model)
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    objective, n_frames = 0.0, 0
    for i, each in enumerate(lattices):
        if each is None:
            continue
        x = trained.observed(data, i)
        pdfs = each.pdfs(model)
        scores = scores_of(model, pdfs, x)
        difference, log_odds = state_differences(each, model, scores, pdfs, options)
        frame, column = np.nonzero(difference)
        columns.append((x[frame], pdfs[column], difference[frame, column]))
        objective, n_frames = objective + log_odds, n_frames + len(x)
    none = GaussianStatistics.zeros(densities)
    if not columns:
        return MmiStatistics(none, none)
    frames, pdf, weight = (np.concatenate(column) for column in zip(*columns, strict=True))
    for_, against = weight > 0, weight < 0
    return MmiStatistics(
        accumulate(densities, frames[for_], pdf[for_], weight[for_]),
        accumulate(densities, frames[against], pdf[against], -weight[against]),
        objective, n_frames,
    )  # fmt: skip


def state_differences(
    lattices: MmiLattices, model: GmmModel, scores: np.ndarray, pdfs: np.ndarray,
    options: MmiOptions,
) -> tuple[np.ndarray, float]:
    """Return numerator less denominator posteriors, and log numerator - log boosted denominator.

    The differences are (n_frames, n_columns), those below 1e-4 left out; `scores` are
    log-likelihoods, `pdfs` their columns' pdfs, ascending.
    """
    scaled = scores * np.float32(options.acoustic_scale)
    boosts, silence = (0.0, options.boost), model.phones.index(model.silence)
    log_totals, difference = [], np.zeros(scores.size)
    both = lattices.numerator, lattices.denominator
    for lattice, boost, sign in zip(both, boosts, (1, -1), strict=True):
        states = span_states(lattice, model, scaled, pdfs)
        frame, span = span_frames(lattice)
        centre = lattice.spans[span, 0]
        wrong = (lattices.phone[frame] != centre) & (centre != silence)
        of_spans = states.log_likelihood + boost * np.bincount(span, wrong, len(lattice.spans))
        log_arc = lattice.over_arcs(of_spans) - lattice.arc_cost
        posterior, log_total = _kernels.arc_posteriors(
            lattice.arc_source, lattice.arc_target, log_arc, -lattice.final
        )
        place = frame * len(pdfs) + np.searchsorted(pdfs, states.pdfs)
        weight = lattice.over_spans(posterior)[span]
        difference += sign * np.bincount(place, weight, scores.size)
        log_totals.append(log_total)
    difference[np.abs(difference) < 1e-4] = 0.0
    return difference.reshape(scores.shape), float(log_totals[0] - log_totals[1])
