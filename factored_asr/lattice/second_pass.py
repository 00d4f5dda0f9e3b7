"""The second pass over a lattice: other models of language and sound, minimum Bayes risk,
confidences.

The lattice is not determinised: a word string has the sum of its segmentations. After rescoring,
posteriors are those of the rescored lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language import WordScorer
from factored_asr.lattice.combine import Combine, CombineOptions, TwiceScored
from factored_asr.lattice.confidence import Calibration
from factored_asr.lattice.confusion import Slot, confusion_network
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import path_of
from factored_asr.lattice.path import WordSegment
from factored_asr.lattice.paths import best_path, prune
from factored_asr.lattice.posteriors import frame_sums
from factored_asr.lattice.rescore import RescoreOptions, rescore

MANY_WORDS = 12  # more words count as 12: calibrations are fitted on single sentences
USUAL_CLARITY = 0.75  # about the mean of native and accented speech
LITTLE = 0.05  # phones in frames that are all but blank say nothing


@dataclass(frozen=True)
class ConfidenceOptions:
    """How posteriors of words become probabilities of being correct.

    Examples
    --------
    >>> ConfidenceOptions(scale=0.2).beam  # flatter posteriors
    4.0
    """

    scale: float = 0.3
    """Multiplies the costs of the lattice, > 0, default 0.3; lower gives flatter posteriors."""
    beam: float = 4.0
    """Arcs whose best path costs more than this above the best are left out, ≥ 0, default 4;
    higher is slower."""
    calibration: Calibration = Calibration()
    """Maps posteriors, and as many of the `word_features` as it has weights, to probabilities;
    fitted on speech recognised with these options. The default changes nothing."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise OptionError(f"the scale of posteriors must be above 0, got {self.scale}")
        if not self.beam >= 0:
            raise OptionError(f"the beam must be 0 or more, got {self.beam}")


@dataclass(frozen=True)
class SecondPassOptions:
    """What the second pass does; each part takes time, and the search must make a lattice.

    Examples
    --------
    >>> SecondPassOptions(confidences=True).needs_lattice, SecondPassOptions().needs_lattice
    (True, False)
    """

    keep: bool = False
    """Keep a lattice even if nothing else here needs one, for N-best lists and plots."""
    confidences: bool = False
    """Give each word, and the whole text, the probability of being correct."""
    minimise_risk: bool = False
    """Choose the words of the lowest expected number of errors, not the cheapest path."""
    whole_lm: bool = False
    """Rescore with the whole language model what was found with a pruned one: see `max_ngrams`."""
    rescore: RescoreOptions = RescoreOptions(beam=4.0)
    """Weights of the language model of the second pass. Without such a model, weights other than 1
    and 0 rescore with that of the first pass."""
    combine: CombineOptions = CombineOptions()
    """Scores of the acoustic model that gives words their times (`DecodeOptions.align_words`)."""

    @property
    def reweighs(self) -> bool:
        """Return True if the costs of the first pass's own model change."""
        return (self.rescore.lm_scale, self.rescore.word_insertion_penalty) != (1.0, 0.0)

    @property
    def needs_lattice(self) -> bool:
        """Return True if the search has to make a lattice."""
        wanted = (self.keep, self.confidences, self.minimise_risk, self.whole_lm,
                  self.combine.weight > 0)
        return any(wanted) or self.reweighs


@dataclass(frozen=True, eq=False)
class Outcome:
    """The words that the second pass chose."""

    segments: tuple[WordSegment, ...]
    """The words with their times in frames."""
    confidences: tuple[float, ...]
    """Probability that each word is correct; empty if not requested."""
    lattice: Lattice
    """The rescored lattice, else that of the search."""
    strings: tuple[TwiceScored, ...] = ()
    """The word strings that another acoustic model scored; empty where it did not."""


@dataclass(frozen=True, eq=False)
class SecondPass:
    """`second_pass` with its options and language models, for many utterances.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.5\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-3\\n"
    >>> again = SecondPass(SecondPassOptions(minimise_risk=True), ConfidenceOptions())
    >>> [each.word for each in again(read_slf_text(text)).segments]
    ['yes']
    """

    options: SecondPassOptions
    """What is done."""
    confidence: ConfidenceOptions
    """How posteriors become confidences."""
    scorer: WordScorer | None = None
    """Language model of the second pass; None does not rescore."""
    first: WordScorer | None = None
    """Language model of the first pass, whose costs are subtracted."""

    def __call__(self, lattice: Lattice, combine: Combine | None = None) -> Outcome:
        return second_pass(lattice, self.options, self.confidence, scorer=self.scorer,
                           first=self.first, combine=combine)


def second_pass(
    lattice: Lattice, options: SecondPassOptions, confidence: ConfidenceOptions, *,
    scorer: WordScorer | None = None, first: WordScorer | None = None,
    combine: Combine | None = None,
) -> Outcome:
    """Return the words of an utterance, chosen from its lattice.

    Parameters
    ----------
    lattice
        Of a search; without nodes, or without a complete path, its best path is returned.
    scorer
        The language model of the second pass; None does not rescore.
    first
        That of the first pass, whose costs are subtracted: needed with `scorer`.
    combine
        Adds the costs of another acoustic model, after the language model's; None: there is none.

    Raises
    ------
    OptionError
        A scorer without `first`, or a calibration with features and an unknown frame length.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.5\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-3\\n"
    >>> found = second_pass(read_slf_text(text), SecondPassOptions(keep=True), ConfidenceOptions())
    >>> [each.word for each in found.segments], found.lattice.n_arcs
    (['yes'], 2)
    """
    if scorer is not None and first is None:
        raise OptionError("a second language model needs that of the first pass, to subtract it")
    path = best_path(lattice) if lattice.reached_final else None
    if path is None:
        return Outcome(lattice.best().segments, (), lattice)
    if scorer is not None:
        rescored = rescore(lattice, scorer, options.rescore, first=first)
        if found := best_path(rescored):  # else the new model allows no path
            lattice, path = rescored, found
    strings: tuple[TwiceScored, ...] = ()
    if combine is not None:
        lattice, strings = combine(lattice)
        path = best_path(lattice) or path
    segments = lattice.segments(path.arcs)
    if not (options.minimise_risk or options.confidences):
        return Outcome(segments, (), lattice, strings)
    near = prune(lattice, confidence.beam)
    network = confusion_network(near, path.word_ids, scale=confidence.scale,
                                minimise_risk=options.minimise_risk)
    word_ids = tuple(slot.word_id for slot in network.words)
    if word_ids != path.word_ids:
        other = path_of(lattice, word_ids)
        segments = lattice.segments(other.arcs) if other else _mean(network.words, near)
    if not options.confidences:
        return Outcome(segments, (), lattice, strings)
    posteriors = [slot.confidence for slot in network.words]
    n_features = len(confidence.calibration.weights)
    features = word_features(near, segments)[:, :n_features] if n_features else None
    probabilities = confidence.calibration.probability(posteriors, features)
    return Outcome(segments, tuple(probabilities.tolist()), lattice, strings)


def word_features(lattice: Lattice, words: Sequence[WordSegment]) -> np.ndarray:
    """Return features that tell correct words from wrong ones in addition to their posteriors.

    The result is (n_words, 5) float64, one row a word:

    1. words a second of the whole sound, divided by 2 (fluent speech is recognised better);
    2. natural log of their number, up to MANY_WORDS;
    3. log of 1 + the mean number of different words that the lattice has in each frame of the word;
    4. the language model's cost of the word by the phones it has, 0 where that is unknown;
    5. the mean probability of the likeliest phone in its frames, by the probability that there is
       any (`Lattice.clarity`); `USUAL_CLARITY` where that is unknown.

    Parameters
    ----------
    lattice
        Pruned to the beam of the confidences; its `frame_seconds` must be known.
    words
        All of the utterance, with their frames.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.5\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-2\\n"
    >>> word_features(read_slf_text(text), [WordSegment("yes", 1, 0, 50)]).round(2).tolist()
    [[1.0, 0.0, 1.1, 1.0, 0.75]]
    """
    if lattice.frame_seconds is None:
        raise OptionError("features of words need the lattice's frame_seconds, which is not known")
    features = np.empty((len(words), 5))
    features[:, 0] = len(words) / (max(2 * lattice.n_frames, 1) * lattice.frame_seconds)
    features[:, 1] = np.log(np.clip(len(words), 1, MANY_WORDS))
    summed = np.concatenate([[0], _words_at(lattice).cumsum()])
    spans = [(each.start or 0, each.end or 0) for each in words]
    first, end = np.array(spans, np.int64).reshape(-1, 2).T
    features[:, 2] = np.log1p((summed[end] - summed[first]) / np.maximum(end - first, 1))
    features[:, 3] = [_lm_cost(lattice, each) / max(len(each.phones), 1) for each in words]
    features[:, 4] = USUAL_CLARITY
    if len(lattice.clarity):
        likeliest, any_phone = lattice.clarity.T.astype(np.float64)
        sums = [np.concatenate([[0.0], row.cumsum()]) for row in (likeliest * any_phone, any_phone)]
        over, under = (each[end] - each[first] for each in sums)
        features[:, 4] = np.where(under > LITTLE, over / np.maximum(under, LITTLE), USUAL_CLARITY)
    return features


def _lm_cost(lattice: Lattice, word: WordSegment) -> float:
    """Return the language model's cost of the word's arc that ends nearest to it."""
    same = np.flatnonzero(lattice.arc_word == word.word_id)
    if not len(same):
        return 0.0
    ends = lattice.node_frame[lattice.arc_target[same]]
    return float(lattice.arc_lm[same[np.abs(ends - (word.end or 0)).argmin()]])


def _words_at(lattice: Lattice) -> np.ndarray:
    """Return the number of different words that the lattice has in each frame, int64."""
    found = np.zeros(lattice.n_frames, np.int64)
    for word in np.unique(lattice.arc_word[lattice.arc_word > 0]):
        found += frame_sums(lattice, lattice.arc_word == word) > 0
    return found


def _mean(slots: Sequence[Slot], lattice: Lattice) -> tuple[WordSegment, ...]:
    """Return words that share no path, each with the arc nearest to its mean times; an overlap
    with the word before is cut."""
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
