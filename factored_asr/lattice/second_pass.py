"""What follows the search: another language model, the string of least risk, confidences.

All of it is read off the lattice of the first pass as it is, not determinised: each segmentation
of a word string counts, and a string has the sum of them. Where a second language model weighs
the lattice anew, posteriors are over the lattice that comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language import WordScorer
from factored_asr.lattice.confidence import Calibration
from factored_asr.lattice.confusion import Slot, confusion_network
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import path_of
from factored_asr.lattice.path import WordSegment
from factored_asr.lattice.paths import best_path, prune
from factored_asr.lattice.rescore import RescoreOptions, rescore

DEFAULT_FRAME_SECONDS = 0.01  # where a lattice does not say
MANY_WORDS = 12  # what lies beyond is no surer: calibrations are fitted on single sentences


@dataclass(frozen=True)
class ConfidenceOptions:
    """How posteriors of words become the probability that they are right."""

    scale: float = 0.3
    """Multiplies the costs of the lattice, > 0; lower: flatter posteriors."""
    beam: float = 4.0
    """Arcs whose best path is this far above the best have no share, ≥ 0; higher: slower."""
    calibration: Calibration = Calibration()
    """Maps posteriors to probabilities, with no further feature or with the first ones of
    `word_features`; fitted on speech recognised with these options."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise OptionError(f"the scale of posteriors must be above 0, got {self.scale}")
        if not self.beam >= 0:
            raise OptionError(f"the beam must be 0 or more, got {self.beam}")


@dataclass(frozen=True)
class SecondPassOptions:
    """What is done with a lattice; all of it costs time, and the search that of a lattice."""

    keep: bool = False
    """Make a lattice even if nothing else here needs one: for N-best lists and for looking at."""
    confidences: bool = False
    """Give each word, and the whole text, the probability of being right."""
    minimise_risk: bool = False
    """Choose the words of the least expected number of errors, not the cheapest path."""
    rescore: RescoreOptions = RescoreOptions(beam=4.0)
    """Weights of the language model of the second pass; where none is given, those other than 1
    and 0 weigh that of the first pass anew."""

    @property
    def reweighs(self) -> bool:
        """True where the first pass's own model would get other costs."""
        return (self.rescore.lm_scale, self.rescore.word_insertion_penalty) != (1.0, 0.0)

    @property
    def needs_lattice(self) -> bool:
        """True where the search has to make a lattice."""
        return self.keep or self.confidences or self.minimise_risk or self.reweighs


@dataclass(frozen=True, eq=False)
class Outcome:
    """The words that were chosen in the end."""

    segments: tuple[WordSegment, ...]
    """The words with their times in frames."""
    confidences: tuple[float, ...]
    """Probability that each word is right; empty where not asked for."""
    lattice: Lattice
    """What was rescored, else what came from the search."""


@dataclass(frozen=True, eq=False)
class SecondPass:
    """`second_pass` with all that it is told and asks, for one utterance after the other."""

    options: SecondPassOptions
    confidence: ConfidenceOptions
    scorer: WordScorer | None = None
    first: WordScorer | None = None

    def __call__(self, lattice: Lattice) -> Outcome:
        return second_pass(
            lattice, self.options, self.confidence, scorer=self.scorer, first=self.first
        )


def second_pass(
    lattice: Lattice,
    options: SecondPassOptions,
    confidence: ConfidenceOptions,
    *,
    scorer: WordScorer | None = None,
    first: WordScorer | None = None,
) -> Outcome:
    """Choose the words of an utterance from its lattice.

    Parameters
    ----------
    lattice
        From a search; one without nodes, or whose best path is not whole, is left as it is.
    scorer
        The language model of the second pass; None rescores nothing.
    first
        That of the first pass, which is taken off: needed with `scorer`.

    Raises
    ------
    OptionError
        A scorer without that of the first pass.
    """
    if scorer is not None and first is None:
        raise OptionError("a second language model needs that of the first pass, to take it off")
    path = best_path(lattice) if lattice.reached_final else None
    if path is None:
        return Outcome(lattice.best().segments, (), lattice)
    if scorer is not None:
        rescored = rescore(lattice, scorer, options.rescore, first=first)
        found = best_path(rescored)
        if found is not None:  # else the new model allows nothing that is left
            lattice, path = rescored, found
    segments = _segments(lattice, path.arcs)
    if not (options.minimise_risk or options.confidences):
        return Outcome(segments, (), lattice)
    near = prune(lattice, confidence.beam)
    network = confusion_network(
        near, path.word_ids, scale=confidence.scale, minimise_risk=options.minimise_risk
    )
    word_ids = tuple(slot.word_id for slot in network.words)
    if word_ids != path.word_ids:
        other = path_of(lattice, word_ids)
        segments = _segments(lattice, other.arcs) if other else _mean(network.words, near)
    if not options.confidences:
        return Outcome(segments, (), lattice)
    posteriors = [slot.confidence for slot in network.words]
    spans = [(each.start or 0, each.end or 0) for each in segments]
    features = word_features(near, spans)[:, : len(confidence.calibration.weights)]
    probabilities = confidence.calibration.probability(posteriors, features)
    return Outcome(segments, tuple(probabilities.tolist()), lattice)


def word_features(lattice: Lattice, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """What tells right words from wrong ones beside their posteriors.

    Parameters
    ----------
    lattice
        Pruned to the beam of the confidences.
    spans
        First frame of each word of the utterance, and the frame after its last.

    Returns
    -------
    (n_words, 3) float64, one row a word: words of the whole sound a second, over 2 (who speaks
    fluently is understood better); the natural log of their number, up to MANY_WORDS; log of 1 +
    the mean number of different words that the lattice has in each frame of the word.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.5\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-2\\n"
    >>> word_features(read_slf_text(text), [(0, 50)]).round(2).tolist()
    [[1.0, 0.0, 1.1]]
    """
    seconds = lattice.n_frames * (lattice.frame_seconds or DEFAULT_FRAME_SECONDS)
    features = np.empty((len(spans), 3))
    features[:, 0] = len(spans) / max(2 * seconds, DEFAULT_FRAME_SECONDS)
    features[:, 1] = np.log(np.clip(len(spans), 1, MANY_WORDS))
    summed = np.concatenate([[0], _words_at(lattice).cumsum()])
    first, end = np.array(spans, np.int64).reshape(-1, 2).T
    features[:, 2] = np.log1p((summed[end] - summed[first]) / np.maximum(end - first, 1))
    return features


def _words_at(lattice: Lattice) -> np.ndarray:
    """(n_frames,) int64: different words that the lattice has in each frame."""
    found = np.zeros(lattice.n_frames, np.int64)
    starts, ends = (lattice.node_frame[at] for at in (lattice.arc_source, lattice.arc_target))
    for word in np.unique(lattice.arc_word[lattice.arc_word > 0]):
        same = np.flatnonzero(lattice.arc_word == word)
        change = np.bincount(starts[same], minlength=lattice.n_frames + 1)
        change -= np.bincount(ends[same], minlength=lattice.n_frames + 1)
        found += change.cumsum()[: lattice.n_frames] > 0
    return found


def _segments(lattice: Lattice, arcs: Sequence[int]) -> tuple[WordSegment, ...]:
    return tuple(lattice.segment(arc) for arc in arcs if lattice.arc_word[arc])


def _mean(slots: Sequence[Slot], lattice: Lattice) -> tuple[WordSegment, ...]:
    """Words that are on no path together: each with the pronunciation of the arc nearest to its
    mean times, which are cut where they would run into the word before."""
    segments, last = [], 0
    starts = lattice.node_frame[lattice.arc_source]
    ends = lattice.node_frame[lattice.arc_target]
    for slot in slots:
        same = np.flatnonzero(lattice.arc_word == slot.word_id)
        away = np.abs(starts[same] - slot.start) + np.abs(ends[same] - slot.end)
        found = lattice.segment(int(same[away.argmin()]))
        assert found.start is not None and found.end is not None
        start, end = max(found.start, last), max(found.end, last)
        cut = (start, end) != (found.start, found.end)
        segments.append(replace(found, start=start, end=end, phones=() if cut else found.phones))
        last = end
    return tuple(segments)
