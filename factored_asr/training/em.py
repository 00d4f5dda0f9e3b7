"""The loop of all stages of maximum likelihood training.

    align (in some passes) → statistics → update → split, pass after pass

A stage is a function ``(data, lexicon, trained, options, run) → Trained``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.acoustic.gmm.sums import Sums
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training import _kernels
from factored_asr.training.alignment import (
    AlignmentOptions,
    StateAlignment,
    Trained,
    align_all,
    score_trellis,
    sentences_of,
)
from factored_asr.training.blocks import Block, speech_blocks
from factored_asr.training.data import TrainingData, over_blocks
from factored_asr.training.parallel import added, summed
from factored_asr.training.schedule import Schedule
from factored_asr.training.sentence import Sentence, make_trellis
from factored_asr.training.update import UpdateOptions, split, update

MIN_POSTERIOR = 1e-8  # less is left out of Baum–Welch statistics
MIN_FRAMES = 10.0  # with fewer, a state keeps its transitions
LEAVE_LIMITS = 0.01, 0.99  # of leaving a state: a duration without examples is not impossible


@dataclass(frozen=True)
class EmOptions:
    """Options of every stage of maximum likelihood training."""

    schedule: Schedule = field(default_factory=Schedule)
    """Passes, alignments and Gaussians."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How texts are aligned with speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """When Gaussians are dropped, and their lowest variance."""
    seed: int = 0
    """Selects the directions in which Gaussians are split."""


@dataclass(frozen=True)
class PassReport:
    """The result of one pass over the data."""

    stage: str
    number: int
    """Counted from 1."""
    of: int
    """Passes of the stage."""
    n_frames: int
    """Aligned frames."""
    log_likelihood: float
    """Natural log-likelihood per frame, of the model before the pass."""
    n_pdfs: int
    n_gaussians: int
    """Of the model after the pass."""
    failed: int
    """Utterances that could not be aligned."""
    notes: tuple[str, ...] = ()
    """Remarks: Gaussians dropped, pdfs without data."""


Report = Callable[[PassReport], None]
"""Progress callback, called after every pass."""
Keep = Callable[[int, Trained], None]
"""Callback that may save the state after a pass."""


@dataclass(frozen=True)
class Run:
    """How a stage is run; none of it changes the result."""

    jobs: int = 1
    """Processes that share the work; as many as there are cores is fastest."""
    report: Report | None = None
    """Progress callback; None disables it."""
    keep: Keep | None = None
    """Called with the state after every pass; None disables it."""
    begun: tuple[int, Trained] | None = None
    """A pass and the state after it, from `keep`: training resumes there."""


BeforePass = Callable[[int, Trained], Trained]
"""A stage's own work before the statistics of a pass (numbered from 1): it may change the model's
transform or the speakers' (MLLT, fMLLR). It must depend on its arguments alone."""


def train_em(
    data: TrainingData, lexicon: Lexicon, begin: Trained | Callable[[], Trained], stage: str,
    options: EmOptions, run: Run | None = None, *, before_pass: BeforePass | None = None,
    soft_passes: int = 0,
) -> Trained:
    """Run the passes of a stage, whose name `stage` is for reports.

    `begin` is the model to begin with (its tree and transform are kept, its mixtures grow) and the
    alignments of the first pass. Or a function that makes them, which is not called where training
    resumes. `before_pass` is the stage's own work, before the alignment of each pass. The first
    `soft_passes` count all paths by their probability (Baum–Welch) instead of the best path alone.
    """
    run, alignment = run or Run(), options.alignment
    schedule = options.schedule.sized(data.n_frames)
    number, trained = run.begun or (0, begin() if callable(begin) else begin)
    sentences = sentences_of(data, lexicon, trained.model, alignment)
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
        model, notes = improve(
            trained.model, seen, options.update, schedule.target(number, n_pdfs), schedule.power,
            options.seed * schedule.passes + number,
        )  # fmt: skip
        trained = replace(trained, model=model)
        if run.report:
            run.report(report_of(stage, number, schedule.passes, seen, model, notes))
        if run.keep:
            run.keep(number, trained)
    return realign(data, lexicon, trained, alignment, sentences, run.jobs)


@dataclass(frozen=True, eq=False)
class Seen(Sums):
    """Statistics of one pass over the data."""

    mixtures: GaussianStatistics
    transitions: np.ndarray
    """(2, n_phones, max_states) float64: frames spent in each state of each phone, and how often it
    was left. Transition probabilities are tied over all contexts of a phone."""
    failed: int = 0
    """Utterances without a path."""


def realign(
    data: TrainingData, lexicon: Lexicon, trained: Trained, options: AlignmentOptions,
    sentences: Sequence[Sentence] | None = None, jobs: int = 1,
) -> Trained:
    """Return the same model with alignments by itself."""
    found = align_all(data, lexicon, trained.model, options, trained.transforms,
                      sentences=sentences, jobs=jobs)  # fmt: skip
    return replace(trained, alignments=found)


def collect(data: TrainingData, trained: Trained, jobs: int = 1) -> Seen:
    """Take statistics along the alignments: every frame belongs to one state (Viterbi training).

    Raises OptionError if no utterance is aligned.
    """
    seen = summed(_collect_block, speech_blocks(data, trained, silence_weight=1.0), jobs)
    return replace(seen, failed=sum(each is None for each in trained.alignments))


def _collect_block(block: Block) -> Seen:
    mixtures = accumulate(block.model.densities, block.frames(), block.pdfs)
    return Seen(mixtures, count_transitions(block.alignments, block.model))


def collect_all_paths(
    data: TrainingData, sentences: Sequence[Sentence], trained: Trained, options: AlignmentOptions,
    jobs: int = 1,
) -> Seen:
    """Take statistics over all paths, each by its probability (Baum–Welch training)."""
    return added(over_blocks(_collect_paths_block, data, sentences, jobs, trained, options))


def _collect_paths_block(
    data: TrainingData, sentences: Sequence[Sentence], trained: Trained, options: AlignmentOptions
) -> Seen:
    model = trained.model
    counts = count_transitions((), model)
    parts: list[tuple[np.ndarray, ...]] = []
    log_likelihood, failed = 0.0, 0
    for i, sentence in enumerate(sentences):
        observed, trellis = trained.observed(data, i), make_trellis(sentence, model)
        scores, column = score_trellis(observed, trellis, model, options)
        posterior, loops, total = _kernels.forward_backward(scores, column, *trellis.transitions)
        if not total > -np.inf:
            failed += 1
            continue
        log_likelihood += total
        frame, node = np.nonzero(posterior > MIN_POSTERIOR)
        parts.append((observed[frame], trellis.pdf[node], posterior[frame, node]))
        spent, at = posterior.sum(axis=0), (sentence.phones[trellis.unit, 0], trellis.state)
        np.add.at(counts[0], at, spent)
        np.add.at(counts[1], at, spent - loops)
    mixtures = GaussianStatistics.zeros(model.densities)
    if parts:
        mixtures = accumulate(model.densities, *map(np.concatenate, zip(*parts, strict=True)))
        mixtures = replace(mixtures, log_likelihood=log_likelihood)
    return Seen(mixtures, counts, failed)


def improve(
    model: GmmModel, seen: Seen, options: UpdateOptions | None, target: int, power: float, seed: int
) -> tuple[GmmModel, tuple[str, ...]]:
    """Update densities and transitions (the M step); then grow mixtures to `target` Gaussians.

    Return the model, and notes on what had too little data.
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


def count_transitions(alignments: Iterable[StateAlignment], model: GmmModel) -> np.ndarray:
    """Count frames and exits of states along the paths of alignments; see `Seen`."""
    counts = np.zeros((2, len(model.phones), model.hmm_pdfs.shape[1]))
    for each in alignments:
        phone = each.phones[each.segment, 0]
        np.add.at(counts[0], (phone, each.state), 1.0)
        ends = np.append((np.diff(each.segment) != 0) | (np.diff(each.state) != 0), True)
        np.add.at(counts[1], (phone[ends], each.state[ends]), 1.0)
    return counts


def update_transitions(model: GmmModel, counts: np.ndarray) -> GmmModel:
    """Return the model with the transition probabilities that follow from the counts.

    A state that is left once in n frames stays with probability 1 - 1 / n.
    """
    frames, left = counts
    enough = frames >= MIN_FRAMES
    leave = np.divide(left, frames, out=np.full(enough.shape, 0.5), where=enough)
    leave = np.clip(leave, *LEAVE_LIMITS)[model.hmm_phone]
    known = enough[model.hmm_phone] & (model.hmm_pdfs >= 0)
    return replace(
        model,
        hmm_loop_log_probs=np.where(known, np.log1p(-leave), model.hmm_loop_log_probs),
        hmm_exit_log_probs=np.where(known, np.log(leave), model.hmm_exit_log_probs),
    )


def mixtures_of(model: GmmModel) -> DiagonalMixtures:
    """Return the densities of a model; OptionError where they are no plain mixtures."""
    if not isinstance(model.densities, DiagonalMixtures):
        raise OptionError("only plain mixtures can be trained further, not tied ones")
    return model.densities


def needed(trained: Trained | None, stage: str, before: str = "mono") -> Trained:
    """Return what a stage builds on; OptionError where there is nothing."""
    if trained is None:
        remedy = f"put another stage, such as {before}, before it"
        raise OptionError(f"the stage {stage} needs a trained model: {remedy}")
    return trained


def report_of(
    stage: str, number: int, of: int, seen: Seen, model: GmmModel, notes: tuple[str, ...] = ()
) -> PassReport:
    """Return the report of a pass."""
    frames, densities = seen.mixtures.frames, model.densities
    return PassReport(
        stage, number, of, round(frames), seen.mixtures.log_likelihood / max(frames, 1.0),
        densities.n_pdfs, densities.means.size // densities.n_features, seen.failed, notes,
    )  # fmt: skip


def _names(model: GmmModel, pdfs: np.ndarray) -> str:
    """Name a few pdfs by a phone and state that use them."""
    names = []
    for pdf in pdfs[:8]:
        hmm, state = np.argwhere(model.hmm_pdfs == pdf)[0]
        names.append(f"{model.phones[model.hmm_phone[hmm]]}/{state}")
    return ", ".join(names) + (" …" if len(pdfs) > 8 else "")
