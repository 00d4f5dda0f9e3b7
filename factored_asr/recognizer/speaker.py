"""Unsupervised adaptation to a speaker: decode, learn the voice from what was heard, decode again.

What a first pass heard of a speaker is wrong here and there, but most frames still belong to the
pdfs it says; an fMLLR map has so few parameters that the errors average out (Gales 1998; Kaldi's
decode_fmllr).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.fmllr import FmllrOptions, FmllrStatistics, fmllr, fmllr_statistics
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.decoder.background import decode_beside
from factored_asr.errors import OptionError
from factored_asr.graph import Graph
from factored_asr.lattice import Lattice
from factored_asr.lattice.posteriors import arc_posteriors, word_posterior
from factored_asr.models.settings import DecodeOptions


@dataclass(frozen=True)
class SpeakerOptions:
    """How a model is adapted to one speaker."""

    fmllr: FmllrOptions = field(default_factory=FmllrOptions)
    """How freely the map may move, by how much was heard."""
    rounds: int = 2
    """Times that all is decoded and the map estimated anew. The second hears what the first
    misled; a third changes little."""
    lattice_beam: float = 6.0
    """Words count by how sure they are, competitors within this beam weighed against them;
    higher: surer knowledge, slower. 0: all count in full."""
    silence_weight: float = 0.0
    """How much frames of silence and fillers count, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or not 0 <= self.silence_weight <= 1 or self.lattice_beam < 0:
            raise OptionError(
                f"rounds {self.rounds} must be at least 1, silence_weight {self.silence_weight} "
                f"in [0, 1], lattice_beam {self.lattice_beam} not negative"
            )


def adapt_to_speaker(
    model: GmmModel,
    graph: Graph,
    utterances: Sequence[np.ndarray],
    decoding: DecodeOptions | None = None,
    options: SpeakerOptions | None = None,
) -> GmmModel:
    """The model as it is for one speaker, learnt from sounds whose words nobody gave.

    Parameters
    ----------
    model
        With first-pass densities, these hear first (SAT); without, it hears itself.
    graph
        What may be said.
    utterances
        Features of each, (n_frames, n_features), as the front end gives them.
    decoding
        Acoustic scale and beams.

    Returns
    -------
    The model behind the speaker's map; as good as unchanged where too little was said.

    Raises
    ------
    OptionError
        Features of the wrong shape, NaN or infinite.
    """
    decoding, options = decoding or DecodeOptions(), options or SpeakerOptions()
    current, affine = model.unadapted, None
    for _ in range(options.rounds):
        lattices = [hear(current, graph, features, decoding, options) for features in utterances]
        affine = estimate_map(model, graph, utterances, lattices, options, affine)
        current = model.with_transform(affine)
    return current


def estimate_map(
    model: GmmModel,
    graph: Graph,
    utterances: Sequence[np.ndarray],
    lattices: Sequence[Lattice],
    options: SpeakerOptions | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """The fMLLR map of a speaker from what was heard, (n, n + 1); it comes after the model's own.

    Parameters
    ----------
    lattices
        What a search over the graph made of each utterance.
    start
        The map under which that was heard; None where there was none.
    """
    options = options or SpeakerOptions()
    total: FmllrStatistics | None = None
    for features, lattice in zip(utterances, lattices, strict=True):
        if not lattice.best().n_frames:
            continue
        frames = np.asarray(features, np.float32)
        if model.transform is not None:
            frames = apply_affine(model.transform, frames)
        pdfs = graph.label_pdf[lattice.best().labels]
        weights = frame_weights(lattice, options.silence_weight)
        heard = frames if start is None else apply_affine(start, frames)
        statistics = fmllr_statistics(model.densities, frames, pdfs, weights, heard)
        total = statistics if total is None else total + statistics
    if total is None:
        return np.eye(model.densities.n_features, model.densities.n_features + 1, dtype=np.float32)
    return fmllr(total, options.fmllr, start=start)


def hear(
    model: GmmModel,
    graph: Graph,
    features: np.ndarray,
    decoding: DecodeOptions,
    options: SpeakerOptions,
) -> Lattice:
    """Decode one utterance, with the lattice that its words are weighed by."""
    beam = replace(decoding.beam, lattice_beam=options.lattice_beam)
    score = model.block_scorer(graph.pdfs, decoding.acoustic_scale)
    return decode_beside(graph, score(features), beam, None)


def frame_weights(lattice: Lattice, silence_weight: float = 0.0) -> np.ndarray:
    """(n_frames,) float64: how much each frame of the best path is worth learning from.

    Silence has its own weight; a word's frames count by its posterior, where there is a lattice.
    """
    path = lattice.best()
    weights = np.ones(path.n_frames)
    if lattice.n_arcs and lattice.aligned:
        posteriors = arc_posteriors(lattice).arc
        for segment in path.segments:
            start, end = segment.start or 0, segment.end or 0
            weights[start:end] = word_posterior(lattice, posteriors, segment.word_id, start, end)
    for phone in path.phones:
        if phone.is_silence:
            weights[phone.start : phone.end] = silence_weight
    return weights
