"""Alignment of training speech: which state of which phone each frame belongs to.

An alignment names phones in context and states, never pdfs, so that a model with other pdfs can
start from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic._kernels import viterbi
from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.data import TrainingData, over_blocks
from factored_asr.training.sentence import Sentence, Trellis, make_sentences, make_trellis


@dataclass(frozen=True, eq=False)
class StateAlignment:
    """The path of one utterance through the states of its phones."""

    phones: np.ndarray
    """(n_segments, 4) int32: centre, left and right phone, and position in the word (see
    topology.py), as a model looks them up. Silence is among them, and stands as a neighbour at
    both ends of the utterance."""
    segment: np.ndarray
    """(n_frames,) int32: row of `phones` for each frame; rises by at most one."""
    state: np.ndarray
    """(n_frames,) int32: index of the HMM state within its phone."""

    def pdfs(self, model: GmmModel) -> np.ndarray:
        """Return the pdf of each frame under a model with the same phones, (n_frames,) int32."""
        hmm = model.hmm_index(*self.phones.T)
        return model.hmm_pdfs[hmm[self.segment], self.state]


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a stage, which the next one starts from."""

    model: GmmModel
    alignments: tuple[StateAlignment | None, ...]
    """The last alignment of each utterance; None where the words did not fit."""
    transforms: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Speaker → (n_features, n_features + 1) float32: the speaker's fMLLR, composed after the
    model's own transform. Empty where the model is not speaker-adaptive."""
    hybrid: HybridModel | None = None
    """The network of the stage tdnn, which `model` gave its alignments; None before that stage."""
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Of a network that is being trained: weights, moments and averages by name."""

    @property
    def acoustic(self) -> GmmModel | HybridModel:
        """The model that the stages so far have made."""
        return self.hybrid or self.model

    def observed(self, data: TrainingData, index: int) -> np.ndarray:
        """Return the frames of an utterance as the densities take them, (n_frames, n) float32."""
        model = self.model
        return data.observed(index, model.features, model.transform, self.transforms)


@dataclass(frozen=True)
class AlignmentOptions:
    """How texts are aligned with training speech."""

    silence_probability: float = 0.5
    """Probability of a silence before, between and after words, (0, 1); lower: fewer pauses."""
    boost_silence: float = 1.25
    """Factor on the likelihood of silence: above 1 gives it more frames. Kaldi has 1.25 for the
    first models."""

    def __post_init__(self) -> None:
        if not 0 < self.silence_probability < 1:
            wrong = self.silence_probability
            raise OptionError(f"silence_probability must lie in (0, 1), got {wrong}")
        if not self.boost_silence > 0:
            raise OptionError(f"boost_silence must be above 0, got {self.boost_silence}")


def align_all(
    data: TrainingData, lexicon: Lexicon, model: GmmModel, options: AlignmentOptions | None = None,
    transforms: Mapping[str, np.ndarray] | None = None, *,
    sentences: Sequence[Sentence] | None = None, jobs: int = 1,
) -> tuple[StateAlignment | None, ...]:
    """Return the best path of every utterance; None where the words do not fit the sound.

    The search is exact, over all pronunciations and silences. `transforms`, speaker → fMLLR, apply
    after the model's own transform. `sentences` are the graphs of `sentences_of`, to be used in
    many passes. `jobs` processes share the work; the result does not depend on it.
    """
    options = options or AlignmentOptions()
    if sentences is None:
        sentences = sentences_of(data, lexicon, model, options)
    trained = Trained(model, (), transforms or {})
    blocks = over_blocks(_align_block, data, sentences, jobs, trained, options)
    return tuple(each for block in blocks for each in block)


def sentences_of(
    data: TrainingData, lexicon: Lexicon, model: GmmModel, options: AlignmentOptions
) -> tuple[Sentence, ...]:
    """Return the graphs of all texts, for this model and others with the same phones."""
    texts = (utterance.words for utterance in data.utterances)
    return make_sentences(texts, lexicon, model, options.silence_probability)


def align_equally(
    data: TrainingData, sentences: Sequence[Sentence], model: GmmModel
) -> tuple[StateAlignment | None, ...]:
    """Distribute the frames equally over the states of the words: the first alignment.

    It takes the first pronunciations and a silence before and after all words. Short utterances
    have no silence, or no alignment.
    """
    both = zip(sentences, data.cepstra, strict=True)
    return tuple(_equal(sentence, len(cepstra), model) for sentence, cepstra in both)


def scores_of(model: GmmModel, pdfs: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return log-likelihoods of observed frames, one column for each of some ascending pdfs."""
    return model.densities.scorer(pdfs)(observed)


def score_trellis(
    observed: np.ndarray, trellis: Trellis, model: GmmModel, options: AlignmentOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the pdfs of a trellis, (n_frames, n), and each node's column."""
    pdfs, column = np.unique(trellis.pdf, return_inverse=True)
    scores = scores_of(model, pdfs, observed)
    if options.boost_silence != 1:
        silent = np.isin(pdfs, model.hmm_pdfs[model.phones.index(model.silence)])
        scores[:, silent] += np.float32(np.log(options.boost_silence))
    return scores, column.astype(np.int32)


def _align_block(
    data: TrainingData, sentences: Sequence[Sentence], trained: Trained, options: AlignmentOptions
) -> list[StateAlignment | None]:
    found: list[StateAlignment | None] = []
    for i, sentence in enumerate(sentences):
        trellis = make_trellis(sentence, trained.model)
        observed = trained.observed(data, i)
        path, total = np.zeros(0, np.int32), -np.inf
        if len(observed):
            scores, column = score_trellis(observed, trellis, trained.model, options)
            path, total = viterbi(scores, column, column, *trellis.transitions)
        found.append(
            _alignment(sentence, trellis.unit[path], trellis.state[path], trained.model)
            if total > -np.inf else None
        )
    return found


def _alignment(
    sentence: Sentence, unit: np.ndarray, state: np.ndarray, model: GmmModel
) -> StateAlignment:
    """Name the phones of a path; their neighbours are those on the path."""
    begins = np.append(True, unit[1:] != unit[:-1])
    phones = sentence.phones[unit[begins]]
    silence = model.phones.index(model.silence)
    padded = np.concatenate([[silence], phones[:, 0], [silence]])
    phones[:, 1], phones[:, 2] = padded[:-2], padded[2:]
    return StateAlignment(phones, (np.cumsum(begins) - 1).astype(np.int32), state.astype(np.int32))


def _equal(sentence: Sentence, n_frames: int, model: GmmModel) -> StateAlignment | None:
    for units in (sentence.plain, sentence.plain[1:-1]):
        centres = sentence.phones[units, 0]
        n_states = (model.hmm_pdfs[centres] >= 0).sum(axis=1)
        total = int(n_states.sum())
        if n_frames >= total:
            node = np.arange(n_frames) * total // n_frames
            first = np.cumsum(n_states) - n_states
            unit = np.repeat(units, n_states)[node]
            state = (np.arange(total) - np.repeat(first, n_states))[node]
            return _alignment(sentence, unit, state, model)
    return None
