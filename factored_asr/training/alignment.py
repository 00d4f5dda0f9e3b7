"""Which state of which phone each frame of training speech belongs to.

An alignment names phones in context and states, never pdfs: so it outlives the model that made
it, and the next one, with other pdfs, starts from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import AcousticModel
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.data import TrainingData


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

    def pdfs(self, model: AcousticModel) -> np.ndarray:
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
    model: AcousticModel,
    options: AlignmentOptions | None = None,
    transforms: Mapping[str, np.ndarray] | None = None,
    *,
    sentences: Sequence[object] | None = None,
    jobs: int = 1,
) -> tuple[StateAlignment | None, ...]:
    """The likeliest path of every utterance; None where the words do not fit the sound."""
    raise NotImplementedError
