"""Expectation and maximisation: the loop that every stage of Gaussian training goes through.

    align (now and then) → statistics → update → split, pass after pass

A stage is a function ``(data, lexicon, trained, options, run) → Trained``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training import _kernels
from factored_asr.training.alignment import (
    AlignmentOptions,
    StateAlignment,
    align_all,
    observations,
    score_trellis,
    sentences_of,
)
from factored_asr.training.data import TrainingData
from factored_asr.training.parallel import over
from factored_asr.training.schedule import Schedule
from factored_asr.training.sentence import Sentence, make_trellis
from factored_asr.training.transitions import (
    TransitionStatistics,
    count_transitions,
    update_transitions,
)
from factored_asr.training.update import UpdateOptions, split, update

MIN_POSTERIOR = 1e-8  # less is left out of Baum–Welch statistics


@dataclass(frozen=True, eq=False)
class Trained:
    """What a stage hands to the next one."""

    model: GmmModel
    """As far as it has come."""
    alignments: tuple[StateAlignment | None, ...]
    """For each utterance the last one made of it; None where the words did not fit."""
    transforms: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Speaker → (n_features, n_features + 1) float32: the speaker's fMLLR, composed after the
    model's own transform. Empty where the model is not speaker-adaptive."""


@dataclass(frozen=True)
class PassReport:
    """What one pass over the data came to."""

    stage: str
    number: int
    """Counted from 1."""
    of: int
    """Passes of the stage."""
    n_frames: int
    """Frames that were aligned."""
    log_likelihood: float
    """Natural log-likelihood a frame, of the model that went into the pass."""
    n_pdfs: int
    n_gaussians: int
    """Of the model that came out of it."""
    failed: int
    """Utterances that could not be aligned."""
    notes: tuple[str, ...] = ()
    """What else one should know: Gaussians dropped, pdfs without data."""


class Report(Protocol):
    """Is told of every pass once it is done."""

    def __call__(self, done: PassReport, /) -> None: ...


class Keep(Protocol):
    """Keeps what a stage has come to: pass `number` (0: none yet) is done."""

    def __call__(self, number: int, trained: Trained, /) -> None: ...


@dataclass(frozen=True)
class Run:
    """How a stage is run, which never changes what comes out of it."""

    jobs: int = 1
    """Processes that share the work; as many as there are cores is fastest."""
    report: Report | None = None
    """Is told of every pass."""
    keep: Keep | None = None
    """Is handed the state after every pass; writes it as often as it likes."""
    begun: tuple[int, Trained] | None = None
    """A pass and the state after it, from `keep`, to go on from after a kill."""


BeforePass = Callable[[int, Trained], Trained]
"""A stage's own work before the statistics of a pass (numbered from 1) are taken: it may change
the model's transform or the speakers' (MLLT, fMLLR). It must depend on its arguments alone."""


def train_em(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained,
    stage: str,
    schedule: Schedule,
    *,
    alignment: AlignmentOptions | None = None,
    update: UpdateOptions | None = None,
    run: Run | None = None,
    before_pass: BeforePass | None = None,
    soft_passes: int = 0,
    seed: int = 0,
) -> Trained:
    """Run the passes of a stage, from a model and alignments on.

    Parameters
    ----------
    trained
        The model to begin with (its tree and transform are kept, its mixtures grow) and the
        alignments of the first pass, unless that is a soft one.
    stage
        Its name, for reports.
    before_pass
        The stage's own work, before the alignment of each pass.
    soft_passes
        How many passes, from the first on, count all paths by their probability (Baum–Welch)
        instead of the best one alone.
    """
    run, alignment = run or Run(), alignment or AlignmentOptions()
    schedule = schedule.sized(data.n_frames)
    sentences = sentences_of(data, lexicon, trained.model, alignment)
    number, trained = run.begun or (0, trained)
    n_pdfs = trained.model.n_pdfs
    while number < schedule.passes:
        number += 1
        if before_pass:
            trained = before_pass(number, trained)
        if number <= soft_passes:
            seen = collect_all_paths(data, sentences, trained, alignment, run.jobs)
        else:
            if number in schedule.realign or number == soft_passes + 1 > 1:
                trained = realign(data, lexicon, trained, alignment, sentences, run.jobs)
            seen = collect(data, trained, run.jobs)
        target = schedule.target(number, n_pdfs)
        model, notes = improve(trained.model, seen, update, target, schedule.power,
                               seed * schedule.passes + number)  # fmt: skip
        trained = replace(trained, model=model)
        if run.report:
            run.report(_report(stage, number, schedule.passes, seen, model, notes))
        if run.keep:
            run.keep(number, trained)
    return realign(data, lexicon, trained, alignment, sentences, run.jobs)


@dataclass(frozen=True, eq=False)
class Seen:
    """What one pass over the data has collected; parts add up."""

    mixtures: GaussianStatistics
    transitions: TransitionStatistics
    failed: int
    """Utterances without a path."""

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.mixtures + other.mixtures, self.transitions + other.transitions,
            self.failed + other.failed,
        )  # fmt: skip


def realign(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained,
    options: AlignmentOptions,
    sentences: Sequence[Sentence] | None = None,
    jobs: int = 1,
) -> Trained:
    """The same model with alignments of its own making."""
    found = align_all(data, lexicon, trained.model, options, trained.transforms,
                      sentences=sentences, jobs=jobs)  # fmt: skip
    return replace(trained, alignments=found)


def collect(data: TrainingData, trained: Trained, jobs: int = 1) -> Seen:
    """Statistics along the alignments: every frame belongs to one state (Viterbi training)."""
    tasks = [
        (data.select(block), _light(trained.model), _of(trained, block), trained.transforms,
         [a and a.pdfs(trained.model) for a in _of(trained, block)])
        for block in data.blocks()
    ]  # fmt: skip
    return _sum(over(_collect_block, tasks, jobs))


def collect_all_paths(
    data: TrainingData,
    sentences: Sequence[Sentence],
    trained: Trained,
    options: AlignmentOptions,
    jobs: int = 1,
) -> Seen:
    """Statistics over all paths, each by its probability (Baum–Welch training)."""
    tasks = [
        (data.select(block), [sentences[i] for i in block], trained.model, trained.transforms,
         options)
        for block in data.blocks()
    ]  # fmt: skip
    return _sum(over(_collect_paths_block, tasks, jobs))


def improve(
    model: GmmModel,
    seen: Seen,
    options: UpdateOptions | None,
    target: int,
    power: float,
    seed: int,
) -> tuple[GmmModel, tuple[str, ...]]:
    """The M step: new densities and transitions; then mixtures grow to `target` Gaussians.

    Returns the model, and notes on what there was too little data for.
    """
    before = mixtures_of(model)
    done = update(before, seen.mixtures, options)
    notes = []
    if dropped := int((~done.kept).sum()):
        notes.append(f"{dropped} Gaussians dropped for want of data")
    if len(done.empty):
        notes.append(f"{len(done.empty)} pdfs without data: {_names(model, done.empty)}")
    densities = done.densities
    if target > len(densities.weights):
        densities = split(densities, seen.mixtures.of_pdfs(before), target, power, seed)
    model = replace(model, densities=densities)
    return update_transitions(model, seen.transitions), tuple(notes)


def mixtures_of(model: GmmModel) -> DiagonalMixtures:
    """The densities of a model whose pdfs are plain mixtures, as EM here trains them."""
    if not isinstance(model.densities, DiagonalMixtures):
        raise OptionError("a model of tied mixtures cannot be trained further")
    return model.densities


def _collect_block(
    data: TrainingData,
    model: GmmModel,
    alignments: Sequence[StateAlignment | None],
    transforms: Mapping[str, np.ndarray],
    pdfs: Sequence[np.ndarray | None],
) -> Seen:
    aligned = {i: pdf for i, pdf in enumerate(pdfs) if pdf is not None}
    densities = mixtures_of(model)
    mixtures = GaussianStatistics.zeros(densities)
    if aligned:
        frames = [observations(data, i, model, transforms) for i in aligned]
        path = np.concatenate(list(aligned.values()))
        mixtures = accumulate(densities, np.concatenate(frames), path)
    return Seen(mixtures, count_transitions(alignments, model), len(pdfs) - len(aligned))


def _collect_paths_block(
    data: TrainingData,
    sentences: Sequence[Sentence],
    model: GmmModel,
    transforms: Mapping[str, np.ndarray],
    options: AlignmentOptions,
) -> Seen:
    shape = len(model.phones), model.hmm_pdfs.shape[1]
    frames, left = np.zeros(shape), np.zeros(shape)
    parts: list[tuple[np.ndarray, ...]] = []
    log_likelihood, failed = 0.0, 0
    for i, sentence in enumerate(sentences):
        observed, trellis = observations(data, i, model, transforms), make_trellis(sentence, model)
        scores, column = score_trellis(observed, trellis, model, options)
        posterior, loops, total = _kernels.forward_backward(scores, column, *trellis.transitions)
        if not total > -np.inf:
            failed += 1
            continue
        log_likelihood += total
        frame, node = np.nonzero(posterior > MIN_POSTERIOR)
        parts.append((observed[frame], trellis.pdf[node], posterior[frame, node]))
        spent, at = posterior.sum(axis=0), (sentence.phones[trellis.unit, 0], trellis.state)
        np.add.at(frames, at, spent)
        np.add.at(left, at, spent - loops)
    densities = mixtures_of(model)
    mixtures = GaussianStatistics.zeros(densities)
    if parts:
        mixtures = accumulate(densities, *map(np.concatenate, zip(*parts, strict=True)))
        mixtures = replace(mixtures, log_likelihood=log_likelihood)
    return Seen(mixtures, TransitionStatistics(frames, left), failed)


def _sum(parts: Sequence[Seen]) -> Seen:
    """In order, so that the last bit does not depend on who was ready first."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _of(trained: Trained, block: range) -> list[StateAlignment | None]:
    return [trained.alignments[i] for i in block]


def _light(model: GmmModel) -> GmmModel:
    """Without its table of contexts, which may be large, and is not needed to collect."""
    none = np.zeros(0, np.int32)
    return replace(model, triphone_contexts=none.reshape(0, 4), triphone_hmms=none)


def _names(model: GmmModel, pdfs: np.ndarray) -> str:
    """A few pdfs by a phone and state that use them."""
    names = []
    for pdf in pdfs[:8]:
        hmm, state = np.argwhere(model.hmm_pdfs == pdf)[0]
        names.append(f"{model.phones[model.hmm_phone[hmm]]}/{state}")
    return ", ".join(names) + (" …" if len(pdfs) > 8 else "")


def _report(
    stage: str, number: int, of: int, seen: Seen, model: GmmModel, notes: tuple[str, ...]
) -> PassReport:
    frames = seen.mixtures.frames
    return PassReport(
        stage, number, of, round(frames), seen.mixtures.log_likelihood / max(frames, 1.0),
        model.n_pdfs, len(model.densities.weights), seen.failed, notes,
    )  # fmt: skip
