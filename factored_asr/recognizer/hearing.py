"""How one whole sound scores: under the model as it is, or as it is in the sound's own noise.

Clean speech is heard as the model was trained. In noise the model is moved to the sound (see
acoustic/noise_adaptation.py): first to what speech of any kind tells of it, then, from the second
round on, to what the words tell that were heard in the round before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic.gmm.model import Score, in_blocks
from factored_asr.acoustic.gmm.noise_adaptation import NoiseAdapter
from factored_asr.decoder.background import decode_beside
from factored_asr.graph import Graph
from factored_asr.models.settings import LATTICE_BEAM, DecodeOptions
from factored_asr.recognizer.speaker import frame_weights


def score_in_noise(
    cepstra: np.ndarray,
    features: np.ndarray,
    graph: Graph,
    decoding: DecodeOptions,
    adapter: NoiseAdapter,
) -> Score | None:
    """The scores of one sound as its noise has them; None where it counts as clean.

    Parameters
    ----------
    cepstra
        (n_frames, n_cepstra) of the whole sound, before any mean is taken off.
    features
        (n_frames, n_features) of the same.
    graph
        What may be said; earlier rounds hear nothing else.
    decoding
        Acoustic scale and beams.
    adapter
        Moves the model to the noise.
    """
    if adapter.counts_as_clean(cepstra):
        return None
    around = adapter.estimate(cepstra)
    deltas = adapter.delta_scorer(cepstra)
    score = adapter.scorer(cepstra, around, deltas)
    scale = decoding.scale_of(cepstra, adapter.features)
    beam = replace(decoding.beam, lattice_beam=LATTICE_BEAM)
    for _ in range(adapter.options.rounds - 1):
        lattice = decode_beside(graph, in_blocks(score, scale)(features), beam, None)
        pdfs = graph.label_pdf[lattice.best().labels]
        if len(pdfs) < len(cepstra):  # the search broke off
            break
        weights = frame_weights(lattice, silence_weight=1.0)
        around = adapter.heard(cepstra, around, pdfs, weights)
        score = adapter.scorer(cepstra, around, deltas)
    return score
