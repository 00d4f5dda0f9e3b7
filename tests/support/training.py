"""Training that takes little time, voices that differ, checks of what training gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.training.data import TrainingData
from factored_asr.training.monophone import MonoOptions
from factored_asr.training.schedule import Schedule
from factored_asr.training.tying import TreeOptions
from support import synthetic

SMALL = MonoOptions(
    schedule=Schedule(passes=12, realign=tuple(range(2, 13)), n_gaussians=8, grow_until=12),
    states=synthetic.STATES, silence_states=synthetic.STATES, soft_passes=4,
)  # fmt: skip
TREE = TreeOptions(n_leaves=8, min_frames=20)
SHORT = Schedule(passes=6, realign=(3,), n_gaussians=10, grow_until=5)
VOICES = {  # what each speaker's vocal tract does to the cepstra
    "s0": ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]),
    "s1": ([[1.2, 0.2], [0.0, 0.8]], [1.0, -1.0]),
    "s2": ([[0.8, 0.0], [-0.2, 1.2]], [-1.5, 1.0]),
    "s3": ([[1.0, 0.3], [0.3, 1.0]], [0.0, 2.0]),
}


def same_models(one: GmmModel, two: GmmModel) -> bool:
    """Bit for bit."""
    arrays = ("hmm_pdfs", "hmm_loop_log_probs", "hmm_exit_log_probs")
    parts = ("means", "variances", "weights", "first_gaussian")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in arrays) and all(
        np.array_equal(getattr(one.densities, name), getattr(two.densities, name))
        for name in parts
    )


def never_falls(values: list[float]) -> bool:
    """Up to rounding of models to float32."""
    return bool((np.diff(values) > -1e-5).all())


def spoken_by(voices: dict, data: TrainingData) -> TrainingData:
    cepstra = [
        (x @ np.transpose(voices[u.speaker][0]) + voices[u.speaker][1]).astype("f4")
        for u, x in zip(data.utterances, data.cepstra, strict=True)
    ]
    return replace(data, cepstra=tuple(cepstra))
