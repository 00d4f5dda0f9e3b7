"""Boosted MMI: to make what was said likelier than all else that could have been said.

The objective is the log of the numerator, all paths through the words that were said, over the
denominator, all paths of a lattice with a weak language model; paths of the denominator count the
more the more phones they have wrong (Povey, Kanevsky, Kingsbury, Ramabhadran, Saon, Visweswariah
2008, "Boosted MMI for model and feature-space discriminative training"). Lattices are made once,
with the model that comes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import OptionError
from factored_asr.graph import (
    Graph,
    GraphOptions,
    build_alignment_graph,
    build_graph,
    make_units,
)
from factored_asr.language.ngram import BEGIN, END, EPSILON, NGramModel
from factored_asr.lexicon import Lexicon
from factored_asr.training import _kernels
from factored_asr.training.alignment import Trained
from factored_asr.training.data import TrainingData
from factored_asr.training.ebw import EbwOptions, update_ebw
from factored_asr.training.em import PassReport, Run, mixtures_of, needed
from factored_asr.training.parallel import over
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
    """Updates of the model; more fits the training data better, up to a point. On half an hour of
    speech nearly all that helps new speakers is done after two."""
    acoustic_scale: float = 0.1
    """Factor on log-likelihoods, > 0; lower: more competitors count."""
    boost: float = 0.1
    """How much a frame of a wrong phone adds to the log weight of a path, >= 0."""
    update: EbwOptions = field(default_factory=EbwOptions)
    """How far Gaussians move."""
    beams: BeamOptions = field(
        default_factory=lambda: BeamOptions(beam=13.0, max_active=3000, lattice_beam=8.0)
    )
    """How many competitors the lattices hold."""
    silence_probability: float = 0.5
    """Of a silence between words, (0, 1), as in the alignments."""

    def __post_init__(self) -> None:
        if self.passes < 1 or not self.acoustic_scale > 0 or self.boost < 0:
            raise OptionError("passes must be 1 or more, acoustic_scale above 0, boost 0 or more")
        if not self.beams.lattice_beam > 0:
            raise OptionError("lattices need a lattice_beam above 0")

    @property
    def graph(self) -> GraphOptions:
        """Of the graphs that are searched; transitions count in full."""
        return GraphOptions(silence_probability=self.silence_probability)


@dataclass(frozen=True, eq=False)
class Rivals:
    """The lattices of an utterance."""

    said: PhoneLattice
    """The numerator: the words that were said, in all their pronunciations and pauses."""
    heard: PhoneLattice
    """The denominator; the numerator's paths are always among its own."""
    phone: np.ndarray
    """(n_frames,) int32: phone of each frame on the best path of the numerator."""

    def pdfs(self, model: GmmModel) -> np.ndarray:
        """Those that occur, of a few that a sentence and its like have; ascending."""
        spans = np.concatenate([self.said.spans, self.heard.spans])
        used = np.unique(model.hmm_pdfs[model.hmm_index(*spans[:, :START].T)])
        return used[used >= 0]


def train_mmi(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None,
    options: MmiOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """The stage ``mmi``: boosted MMI from a model that maximum likelihood has trained.

    The objective, a frame, stands in the reports as the log-likelihood: it is that of the words
    given the sound, at most 0 without boosting.

    Parameters
    ----------
    trained
        Any model of plain mixtures; speakers' transforms stay as they are.

    Raises
    ------
    OptionError
        There is no model, it has other densities, or no utterance has a lattice.
    """
    options, run, trained = options or MmiOptions(), run or Run(), needed(trained, "mmi", "tri")
    mixtures_of(trained.model)
    rivals = make_rivals(data, lexicon, trained, options, run.jobs)
    failed = sum(each is None for each in rivals)
    if failed == len(rivals):
        raise OptionError("no utterance has lattices: the model does not fit the data")
    done, trained = run.begun or (0, trained)
    for number in range(done + 1, options.passes + 1):
        seen = gather(data, trained, rivals, options, run.jobs)
        densities = update_ebw(
            mixtures_of(trained.model), seen.numerator, seen.denominator, options.update
        )
        trained = replace(trained, model=replace(trained.model, densities=densities))
        if run.report:
            odds = seen.objective / max(len(rivals) - failed, 1)
            run.report(
                PassReport("mmi", number, options.passes, seen.n_frames,
                           seen.objective / max(seen.n_frames, 1), densities.n_pdfs,
                           len(densities.weights), failed,
                           (f"objective {odds:.4f} an utterance",))
            )  # fmt: skip
        if run.keep:
            run.keep(number, trained)
    return trained


@dataclass(frozen=True, eq=False)
class MmiStatistics:
    """What a pass collects; statistics of parts of the data add up."""

    numerator: GaussianStatistics
    denominator: GaussianStatistics
    objective: float = 0.0
    """Sum over utterances of log numerator - log boosted denominator."""
    n_frames: int = 0

    def __add__(self, other: MmiStatistics) -> MmiStatistics:
        return MmiStatistics(
            self.numerator + other.numerator, self.denominator + other.denominator,
            self.objective + other.objective, self.n_frames + other.n_frames,
        )  # fmt: skip


def unigram(data: TrainingData, lexicon: Lexicon) -> NGramModel:
    """The words of the data by their frequency: weak, so that sounds decide."""
    counts = Counter(word for each in data.utterances for word in each.words if word in lexicon)
    counts[END] = len(data.utterances)
    words = (EPSILON, BEGIN, *sorted(counts))
    frequency = np.array([counts[word] for word in words[2:]], float)
    log_prob = np.append(-99.0, np.log(frequency / frequency.sum()))
    ids = np.arange(1, len(words))[:, None]
    return NGramModel.from_ngrams(words, [(ids, log_prob, np.zeros(len(ids)))])


def make_rivals(
    data: TrainingData, lexicon: Lexicon, trained: Trained, options: MmiOptions, jobs: int = 1
) -> list[Rivals | None]:
    """Numerator and denominator lattices of every utterance; None where either failed."""
    language = unigram(data, lexicon)
    graph = build_graph(trained.model, lexicon, language, options.graph)
    tasks = [
        (data.select(block), lexicon, replace(trained, alignments=()), graph, language, options)
        for block in data.blocks()
    ]
    return [each for block in over(_rivals_of_block, tasks, jobs) for each in block]


def _rivals_of_block(
    data: TrainingData, lexicon: Lexicon, trained: Trained, graph: Graph, language: NGramModel,
    options: MmiOptions,
) -> list[Rivals | None]:
    model = trained.model
    units = make_units(model, options.graph.transition_scale)
    found: list[Rivals | None] = []
    for i, utterance in enumerate(data.utterances):
        words = utterance.words
        if not words or lexicon.missing(words):
            found.append(None)
            continue
        scores = model.densities.scorer()(trained.observed(data, i))
        scores *= np.float32(options.acoustic_scale)
        text = build_alignment_graph(model, lexicon, words, options.graph, units)
        said, heard = (decode(each, scores, options.beams) for each in (text, graph))
        if not (said.reached_final and heard.reached_final and said.aligned and heard.aligned):
            found.append(None)
            continue
        cost = -language.score_sentence(words)
        numerator = phone_lattice(said, model, scores).dearer(cost)
        denominator = phone_lattice(heard, model, scores)
        if not holds(heard, words):
            denominator = denominator.joined(numerator)
        phone = np.concatenate(
            [np.full(each.end - each.start, model.phones.index(each.phone), np.int32)
             for each in said.best().phones]
        )  # fmt: skip
        found.append(Rivals(numerator, denominator, phone))
    return found


def gather(
    data: TrainingData, trained: Trained, rivals: Sequence[Rivals | None], options: MmiOptions,
    jobs: int = 1,
) -> MmiStatistics:
    """Statistics of all lattices under a model."""
    light = replace(trained, alignments=())
    tasks = [
        (data.select(block), [rivals[i] for i in block], light, options) for block in data.blocks()
    ]
    blocks = over(_gather_block, tasks, jobs)
    return sum(blocks[1:], blocks[0])


def _gather_block(
    data: TrainingData, rivals: Sequence[Rivals | None], trained: Trained, options: MmiOptions
) -> MmiStatistics:
    model, densities = trained.model, mixtures_of(trained.model)
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    objective, n_frames = 0.0, 0
    for i, each in enumerate(rivals):
        if each is None:
            continue
        x = trained.observed(data, i)
        scores = densities.scorer(each.pdfs(model))(x)
        difference, log_odds = state_differences(each, model, scores, options)
        frame, pdf = np.divmod(np.flatnonzero(difference), model.n_pdfs)
        columns.append((x[frame], pdf, difference[frame * model.n_pdfs + pdf]))
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
    rivals: Rivals, model: GmmModel, scores: np.ndarray, options: MmiOptions
) -> tuple[np.ndarray, float]:
    """How much more of each pdf at each frame there should be, and the objective.

    Returns
    -------
    (n_frames * n_pdfs,): numerator less denominator posteriors, those below 1e-4 left out; and
    log numerator - log boosted denominator.
    """
    scaled = scores * np.float32(options.acoustic_scale)
    boosts = (0.0, options.boost)
    log_totals, difference = [], np.zeros(scores.size)
    for lattice, boost, sign in zip((rivals.said, rivals.heard), boosts, (1, -1), strict=True):
        pdf, log_likelihood = span_states(lattice, model, scaled)
        frame, span = span_frames(lattice)
        wrong = (rivals.phone[frame] != lattice.spans[span, 0]) & (
            lattice.spans[span, 0] != model.phones.index(model.silence)
        )
        log_likelihood += boost * np.bincount(span, wrong, len(lattice.spans))
        log_arc = lattice.over_arcs(log_likelihood) - lattice.arc_cost
        posterior, log_total = _kernels.arc_posteriors(
            lattice.arc_source, lattice.arc_target, log_arc, -lattice.final
        )
        weight = lattice.over_spans(posterior)[span]
        difference += sign * np.bincount(frame * model.n_pdfs + pdf, weight, scores.size)
        log_totals.append(log_total)
    difference[np.abs(difference) < 1e-4] = 0.0
    return difference, float(log_totals[0] - log_totals[1])
