"""One speaker's fMLLR map, from what was recognised of the speaker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from factored_asr.acoustic.gmm.fmllr import FmllrOptions, FmllrStatistics, fmllr, fmllr_statistics
from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.acoustic.gmm.session import CepstralSession
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.acoustic.model import SpeakerEvidence
from factored_asr.errors import OptionError


def speaker_map(
    model: GmmParameters,
    sounds: Sequence[SpeakerEvidence],
    options: FmllrOptions | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the map of a speaker, (n, n + 1); it comes after the model's own transform.

    What a first pass recognised is wrong here and there, but most frames still belong to the pdfs
    that it says. A map has so few parameters that the errors average out (Gales 1998).

    Parameters
    ----------
    start
        The map by which the sounds were recognised; None where there was none.

    Raises
    ------
    OptionError
        A sound has no features of cepstra.
    """
    total: FmllrStatistics | None = None
    for sound in sounds:
        if not isinstance(sound.session, CepstralSession):
            raise OptionError("an fMLLR map is estimated from sounds of a front end of cepstra")
        if not len(sound.pdfs):
            continue
        frames = sound.session.features()
        if model.transform is not None:
            frames = apply_affine(model.transform, frames)
        mapped = frames if start is None else apply_affine(start, frames)
        statistics = fmllr_statistics(model.densities, frames, sound.pdfs, sound.weights, mapped)
        total = statistics if total is None else total + statistics
    if total is None:
        return np.eye(model.densities.n_features, model.densities.n_features + 1, dtype=np.float32)
    return fmllr(total, options or FmllrOptions(), start=start)
