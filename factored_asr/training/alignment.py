"""Which state of which phone each frame of training speech belongs to.

An alignment names phones in context and states, never pdfs: so it outlives the model that made
it, and the next one, with other pdfs, starts from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.transforms import apply_affine, compose
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training import _kernels
from factored_asr.training.data import TrainingData
from factored_asr.training.parallel import over
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
        """(n_frames,) int32: the pdf of each frame under a model with the same phones."""
        hmm = model.hmm_index(*self.phones.T)
        return model.hmm_pdfs[hmm[self.segment], self.state]


@dataclass(frozen=True)
class AlignmentOptions:
    """How transcripts are laid over training speech."""

    silence_probability: float = 0.5
    """Of a silence before, between and after words, (0, 1); lower: fewer pauses."""
    boost_silence: float = 1.25
    """Factor on the likelihood of silence: above 1 gives it more frames. Kaldi has 1.25 while
    models are young."""

    def __post_init__(self) -> None:
        if not 0 < self.silence_probability < 1:
            raise OptionError(
                f"silence_probability must lie in (0, 1), got {self.silence_probability}"
            )
        if not self.boost_silence > 0:
            raise OptionError(f"boost_silence must be above 0, got {self.boost_silence}")


def align_all(
    data: TrainingData,
    lexicon: Lexicon,
    model: GmmModel,
    options: AlignmentOptions | None = None,
    transforms: Mapping[str, np.ndarray] | None = None,
    *,
    sentences: Sequence[Sentence] | None = None,
    jobs: int = 1,
) -> tuple[StateAlignment | None, ...]:
    """The likeliest path of every utterance; None where the words do not fit the sound.

    The search is exact: whatever pronunciations and silences make the sound likeliest are chosen.

    Parameters
    ----------
    transforms
        Speaker → fMLLR applied after the model's own transform; none for speakers not in it.
    sentences
        The graphs of the transcripts, from `sentences_of`, where they are kept for many passes.
    jobs
        Processes that share the work; the result does not depend on it.
    """
    options = options or AlignmentOptions()
    if sentences is None:
        sentences = sentences_of(data, lexicon, model, options)
    tasks = [
        (data.select(block), [sentences[i] for i in block], model, options, transforms)
        for block in data.blocks()
    ]
    return tuple(each for block in over(_align_block, tasks, jobs) for each in block)


def sentences_of(
    data: TrainingData, lexicon: Lexicon, model: GmmModel, options: AlignmentOptions
) -> tuple[Sentence, ...]:
    """The graphs of all transcripts, for this model and others with the same phones."""
    texts = (utterance.words for utterance in data.utterances)
    return make_sentences(texts, lexicon, model, options.silence_probability)


def align_equally(
    data: TrainingData, sentences: Sequence[Sentence], model: GmmModel
) -> tuple[StateAlignment | None, ...]:
    """A first guess: the frames shared out equally among the states of the words.

    First pronunciations, a silence before and after all words; without them, or without a path,
    where the utterance is too short.
    """
    return tuple(
        _equal(sentence, len(cepstra), model)
        for sentence, cepstra in zip(sentences, data.cepstra, strict=True)
    )


def observations(
    data: TrainingData,
    index: int,
    model: GmmModel,
    transforms: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """The frames of an utterance as the model's densities see them, (n_frames, n) float32."""
    features = data.features(index, model.features)
    own = (transforms or {}).get(data.utterances[index].speaker)
    affine = model.transform if own is None else compose(own, model.transform)
    return features if affine is None else apply_affine(affine, features)


def score_trellis(
    observed: np.ndarray, trellis: Trellis, model: GmmModel, options: AlignmentOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the pdfs of a trellis alone, (n_frames, n), and each node's column, (n_nodes,)."""
    pdfs, column = np.unique(trellis.pdf, return_inverse=True)
    scores = model.densities.scorer(pdfs)(observed)[:, pdfs]
    if options.boost_silence != 1:
        silent = np.isin(pdfs, model.hmm_pdfs[model.phones.index(model.silence)])
        scores[:, silent] += np.float32(np.log(options.boost_silence))
    return scores, column.astype(np.int32)


def _align_block(
    data: TrainingData,
    sentences: Sequence[Sentence],
    model: GmmModel,
    options: AlignmentOptions,
    transforms: Mapping[str, np.ndarray] | None,
) -> list[StateAlignment | None]:
    found: list[StateAlignment | None] = []
    for i, sentence in enumerate(sentences):
        trellis = make_trellis(sentence, model)
        observed = observations(data, i, model, transforms)
        path, total = np.zeros(0, np.int32), -np.inf
        if len(observed):
            scores, column = score_trellis(observed, trellis, model, options)
            path, total = _kernels.viterbi(scores, column, *trellis.transitions)
        found.append(_read(sentence, trellis, path, model) if total > -np.inf else None)
    return found


def _read(
    sentence: Sentence, trellis: Trellis, path: np.ndarray, model: GmmModel
) -> StateAlignment:
    """Name the phones of a path; their neighbours are those they have on it."""
    return _alignment(sentence, trellis.unit[path], trellis.state[path], model)


def _alignment(
    sentence: Sentence, unit: np.ndarray, state: np.ndarray, model: GmmModel
) -> StateAlignment:
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
