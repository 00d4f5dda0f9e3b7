"""Unsupervised adaptation to a speaker: decode, adapt the model to what was recognised, repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic.gmm.fmllr import FmllrOptions
from factored_asr.acoustic.model import AcousticModel, Frames, SpeakerEvidence
from factored_asr.audio.reading import Source
from factored_asr.errors import OptionError
from factored_asr.lattice import Lattice
from factored_asr.lattice.posteriors import arc_posteriors, word_posterior
from factored_asr.recognizer.session import Pipeline, Session, read_sound


@dataclass(frozen=True)
class SpeakerOptions:
    """How a model is adapted to one speaker.

    Examples
    --------
    >>> SpeakerOptions(rounds=1, lattice_beam=0.0).silence_weight  # one round, whole words
    0.0
    """

    fmllr: FmllrOptions = field(default_factory=FmllrOptions)
    """How freely the model may move, by how much was said: of models that are adapted by a map."""
    rounds: int = 2
    """Times that all is decoded and the model adapted. The second round corrects what the first
    decode got wrong; a third changes little."""
    lattice_beam: float = 6.0
    """Beam of the lattices by which words are weighted with their posterior; higher: better
    weights, slower. 0: all words count in full."""
    silence_weight: float = 0.0
    """How much frames of silence and fillers count, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or not 0 <= self.silence_weight <= 1 or self.lattice_beam < 0:
            raise OptionError(
                f"rounds {self.rounds} must be at least 1, silence_weight {self.silence_weight} "
                f"in [0, 1], lattice_beam {self.lattice_beam} not negative"
            )


def adapt_to_speaker(
    pipeline: Pipeline, sounds: Sequence[Source | Frames], options: SpeakerOptions | None = None,
    sample_rate: int | None = None,
) -> AcousticModel:
    """Return the pipeline's model, adapted to the speaker of these sounds.

    Parameters
    ----------
    pipeline
        Recognises the sounds, without its background model and second pass.
    sounds
        Paths, arrays or ready-made frames.
    sample_rate
        Hz of arrays.

    Returns
    -------
    The adapted model; as good as unchanged where too little was said.
    """
    options = options or SpeakerOptions()
    rate = pipeline.model.sample_rate
    read = [read_sound(pipeline.model, sound, sample_rate) for sound in sounds]
    beam = replace(pipeline.options.beam, lattice_beam=options.lattice_beam)
    plain = replace(pipeline, options=replace(pipeline.options, beam=beam), background=None,
                    second_pass=None)
    adapted: AcousticModel | None = None
    for _ in range(options.rounds):
        current = plain if adapted is None else replace(plain, model=adapted)
        evidence = [_evidence(current, sound, rate, options) for sound in read]
        adapted = plain.model.adapted(evidence, options.fmllr, adapted)
    assert adapted is not None
    return adapted


def _evidence(
    pipeline: Pipeline, sound: np.ndarray | Frames, sample_rate: int, options: SpeakerOptions
) -> SpeakerEvidence:
    session = Session(pipeline, whole=True)
    session.feed(sound, sample_rate)
    lattice = session.search().lattice
    pdfs = pipeline.graph.label_pdf[lattice.best().labels]
    return SpeakerEvidence(session.acoustic, pdfs, frame_weights(lattice, options.silence_weight))


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
