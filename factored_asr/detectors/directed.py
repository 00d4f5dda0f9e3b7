"""Device-directedness: is a stretch of speech a command to the device, or talk between people?

Three families of evidence meet in one logistic model (S. H. Mallidi and others, "Device-directed
utterance detection", Interspeech 2018, combine such families):

* semantic: what a grammar makes of the words, speech outside its words, how far the phones are
  those of its sentences, words that ask or speak of others,
* decoder: how much better the grammar fits than the background model, confidence, cost,
* acoustic: rate, length, level, pitch, tilt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factored_asr.acoustic.model import Frames
from factored_asr.acoustic.network.encoder import HOP, SAMPLE_RATE
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.session import is_speech
from factored_asr.detectors._kernels import DEAD, spot
from factored_asr.detectors.background import shipped
from factored_asr.detectors.classifier import Classifier
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.stretches import Stretch, StretchSession
from factored_asr.detectors.voicing import REPEATS, VoicingOptions, frame_values, pitches
from factored_asr.errors import OptionError
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.lattice.path import Path as BestPath
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.session import Found, Session, decide
from factored_asr.results.transcript import Transcript

SHIPPED = Path(__file__).parent / "directed.npz"
"""Made by tests/bench/directed.py."""
FAMILIES = {
    "semantic": ("understood", "words outside", "phones of the grammar", "asks", "of others"),
    "decoder": ("accepted", "margin a frame", "margin a word", "confidence",
                "cost a frame"),
    "acoustic": ("phones a second", "seconds", "level", "spread of level", "pitch",
                 "range of pitch", "periodicity", "tilt 1", "tilt 2", "tilt 3", "tilt 4", "tilt 5"),
}
"""The values of each family, in the order of `DirectednessDetector.values`."""
NAMES = ("other", "directed")
"""Classes of the model."""
CUES = {
    "asks": ("DH AH", "D IH D Y UW", "D UW Y UW", "W AH T", "W AY", "HH UW", "HH AW", "D IH D"),
    "of others": ("HH IY", "SH IY", "DH EY", "HH IH Z", "HH ER", "DH EH M", "W IY", "AY"),
}
"""Pronunciations of words by which people ask, and speak of themselves and others."""
LONGEST_CUE = 12
"""Frames of each phone of a cue, at most."""
LEAST_FIT = -12.0
"""Lower ratios of cues are not told apart."""
LOUD_DB = 20.0
"""Frames within this of the loudest of a stretch count as loud."""
UNVOICED = 7.0
"""Logarithm to base 2 of the pitch, in Hz, of a stretch without a voiced frame."""
FRAME_SECONDS = HOP / SAMPLE_RATE
MOST = 10.0
"""Margins beyond it, per frame or word, are not told apart."""
SENTENCES = 300
"""Random sentences of a grammar, of which its pairs of phones are counted."""
SMOOTHING = 0.5
"""Added to each count of a pair of phones."""


def pairs_of(strings: Iterable[Sequence[int] | np.ndarray], n_pdfs: int) -> np.ndarray:
    """Return log P(second phone | first) of strings of pdfs, (n_pdfs, n_pdfs).

    Pdf 0, the blank, stands before the first phone and after the last. `SMOOTHING` is added to each
    count.

    >>> pairs = pairs_of([[1, 2, 1, 2]], 3)
    >>> pairs.shape, bool(pairs[1, 2] > pairs[1, 1])
    ((3, 3), True)
    """
    counts = np.full((n_pdfs, n_pdfs), SMOOTHING)
    for each in strings:
        around = [0, *each, 0]
        np.add.at(counts, (around[:-1], around[1:]), 1)
    return np.log(counts / counts.sum(axis=1, keepdims=True))


def greedy(log_probs: np.ndarray) -> np.ndarray:
    """Return the likeliest pdf of each frame, repetitions and blanks left out."""
    best = log_probs.argmax(axis=1)
    kept = np.concatenate([[True], best[1:] != best[:-1]]) & (best > 0)
    return best[kept]


class DirectednessDetector:
    """Says of each stretch of speech whether it is a command to the device.

    Parameters
    ----------
    recognizer
        Of en-us-network, with the grammar of the commands.
    classifier
        One that tests/bench/directed.py learnt; None: the shipped one.
    options
        What a stretch of speech is.

    Raises OptionError where the recogniser has no grammar or is of no network.

    Examples
    --------
    >>> from factored_asr.detectors import detect
    >>> from factored_asr.recognizer import Recognizer
    >>> recognizer = Recognizer.load("en-us-network", grammar="lm/smart_home.yaml")
    >>> detector = DirectednessDetector(recognizer)
    >>> sound = "examples/audio/kitchen_light_on.wav"
    >>> [found.name for found in detect(recognizer.model, [detector], sound)]
    ['directed']
    """

    def __init__(self, recognizer: Recognizer, classifier: Classifier | None = None,
                 options: VoicingOptions | None = None):
        model = recognizer.model
        if not isinstance(model, NetworkModel):
            raise OptionError("directedness needs the frames of a network: load the recogniser "
                              "from en-us-network")
        if recognizer.pipeline.background is None or recognizer.recipe is None:
            raise OptionError("directedness needs a recogniser with a grammar and its background "
                              "model: load it with grammar=")
        self.recognizer, self.options = recognizer, options or VoicingOptions()
        untimed = replace(recognizer.options, align_words=False)  # times of words are not judged
        self._pipeline = replace(recognizer.pipeline, options=untimed)
        self.classifier = classifier or Classifier.read(SHIPPED)
        self._pairs = grammar_pairs(recognizer) - pairs_of(
            [greedy(shipped().log_probs)], model.n_pdfs)
        self._cues = [[np.array([model.phones.index(phone) + 1 for phone in way.split()], np.int64)
                       for way in ways] for ways in CUES.values()]

    def session(self, model: NetworkModel) -> StretchSession:
        """Begin a sound; OptionError where the model is not the recogniser's."""
        if model is not self.recognizer.model and model.phones != self.recognizer.model.phones:
            raise OptionError("directedness needs frames of the recogniser's own model")
        return StretchSession(self._judged, self.options.pause_seconds,
                              self.options.shortest_seconds, model.frame_seconds)

    def values(self, stretch: Stretch) -> np.ndarray:
        """Return the values of `FAMILIES` of a stretch of speech, in order, float64."""
        session = Session(self._pipeline, whole=False)
        session.accept_frames(Frames(stretch.log_probs), np.ravel(stretch.samples))
        found = session.search()
        said = decide(self._pipeline, found)
        best, meant = found.lattice.best(), said.interpretation
        around = np.concatenate([[0], greedy(stretch.log_probs), [0]])
        scores = stretch.log_probs[stretch.spoken]
        return np.array([
            meant.confidence if meant is not None else 0.0, words_outside(best, stretch),
            self._pairs[around[:-1], around[1:]].mean(),
            *(max(best_ratio(scores, way) for way in ways) for ways in self._cues),
            *decoder_values(found, said, stretch), *acoustic_values(stretch),
        ])

    def judged(self, values: np.ndarray) -> tuple[float, dict[str, float]]:
        """Return the probability of being directed of these `values`, and log-odds by family.

        The log-odds of the families and of the bias sum up to those of the probability.
        """
        made = self.classifier
        odds = (values - made.mean) / made.scale * (made.weights[:, 1] - made.weights[:, 0])
        ends = np.cumsum([0, *(len(names) for names in FAMILIES.values())])
        shares = {family: float(odds[first:end].sum()) for family, first, end in
                  zip(FAMILIES, ends[:-1], ends[1:], strict=True)}
        total = sum(shares.values()) + float(made.bias[1] - made.bias[0])
        return float(1 / (1 + np.exp(-np.clip(total, -50, 50)))), shares

    def _judged(self, stretch: Stretch, start: float, end: float) -> Detection:
        directed, shares = self.judged(self.values(stretch))
        name, score = (NAMES[1], directed) if directed > 0.5 else (NAMES[0], 1 - directed)
        return Detection("directed", name, start, end, score, tuple(shares.items()))


def grammar_pairs(recognizer: Recognizer) -> np.ndarray:
    """Return log P(second phone | first) of random sentences of a grammar; see `pairs_of`."""
    recipe = recognizer.recipe
    assert recipe is not None
    lexicon = recipe.read_lexicon()
    known = frozenset(word for word in recognizer.graph.words if word in lexicon)
    number = {phone: i + 1 for i, phone in enumerate(recognizer.model.phones)}
    sentences = random_sentences(recipe.sentences(known), SENTENCES, 0)
    return pairs_of(([number[phone] for word in each for phone in lexicon[word][0].phones]
                     for each in sentences), recognizer.model.n_pdfs)


def words_outside(best: BestPath, stretch: Stretch) -> float:
    """Return the share of the speech that lies outside the words of the best sentence, 0 to 1."""
    speech = is_speech(stretch.log_probs)
    within = np.zeros(len(speech), np.bool_)
    for word in best.segments:
        within[word.start or 0 : word.end or 0] = True
    return float((speech & ~within).sum() / max(int(speech.sum()), 1))


def best_ratio(log_probs: np.ndarray, columns: np.ndarray) -> float:
    """Return the log-likelihood ratio per phone of the place where some phones fit best."""
    scores = log_probs - log_probs.max(axis=1, keepdims=True)
    n = len(columns)
    value, begin = np.full(2 * n - 1, DEAD), np.zeros(2 * n - 1, np.int64)
    found, started = np.empty(len(scores)), np.empty(len(scores), np.int64)
    repeats = np.concatenate([[False], columns[1:] == columns[:-1]])
    spot(scores, columns, repeats, 0, LONGEST_CUE * n, value, begin, 0, found, started)
    return max(float(found.max()) / n, LEAST_FIT)


def decoder_values(found: Found, said: Transcript, stretch: Stretch) -> list[float]:
    """Return the values of ``FAMILIES["decoder"]``."""
    best, background = found.lattice.best(), found.background
    n_frames = max(int(is_speech(stretch.log_probs).sum()), 1)
    behind = background.cost - best.cost if background is not None else 0.0
    behind = behind if np.isfinite(behind) else -np.inf
    cost = best.cost / n_frames
    return [float(bool(said.words)), float(np.clip(behind / n_frames, -MOST, MOST)),
            float(np.clip(behind / max(len(best.words), 1), -MOST, MOST)), said.confidence or 0.0,
            min(cost, MOST) if np.isfinite(cost) else MOST]


def acoustic_values(stretch: Stretch) -> list[float]:
    """Return the values of ``FAMILIES["acoustic"]``."""
    sound = stretch.sound_before, stretch.samples[stretch.spoken]
    frames, pitch = frame_values(*sound), pitches(*sound)
    voiced = frames[:, 0] > REPEATS
    loud = frames[frames[:, -1] > frames[:, -1].max() - LOUD_DB]
    level = loud[:, -1]
    tilt = (loud[:, 1:-1] - level[:, None]).mean(axis=0) / 10
    hertz = np.log2(pitch[voiced]) if voiced.any() else np.full(1, UNVOICED)
    low, high = np.percentile(hertz, (10, 90))
    seconds = len(frames) * FRAME_SECONDS
    return [len(greedy(stretch.log_probs)) / seconds, np.log(seconds), float(level.mean()) / 10,
            float(level.std()) / 10, float(hertz.mean()), float(high - low),
            float(loud[:, 0].mean()), *tilt]
