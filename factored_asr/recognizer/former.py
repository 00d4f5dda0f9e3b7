"""Methods of a recogniser that go away in version 0.3.0."""

from __future__ import annotations

import warnings

import numpy as np

from factored_asr.acoustic.gmm.session import GmmSession
from factored_asr.acoustic.model import AcousticModel, Frames
from factored_asr.audio.reading import Source
from factored_asr.graph import Graph
from factored_asr.recognizer.session import begun
from factored_asr.results.transcript import Transcript


class FormerMethods:
    """The part of a `Recognizer` that is deprecated."""

    model: AcousticModel
    graph: Graph

    def transcribe(self, source: Source | Frames) -> Transcript:
        raise NotImplementedError

    def features(self, source: Source, *, sample_rate: int | None = None) -> np.ndarray:
        """(n_frames, n_features) of a sound. Deprecated: `adapted` takes sounds."""
        _warn_old("Recognizer.features", "adapted, which takes sounds")
        session, _ = begun(self.model, self.graph.pdfs, source, sample_rate)
        assert isinstance(session, GmmSession)
        return session.features()

    def transcribe_features(self, features: np.ndarray) -> Transcript:
        """Recognise features of `features`. Deprecated: use `transcribe`."""
        _warn_old("Recognizer.transcribe_features", "transcribe")
        return self.transcribe(Frames(features, normalised=True))

    def transcribe_cepstra(self, frames: np.ndarray) -> Transcript:  # old name
        """Recognise ready-made frames. Deprecated: use ``transcribe(Frames(frames))``."""
        _warn_old("Recognizer.transcribe_cepstra", "transcribe(Frames(…))")  # old name
        return self.transcribe(Frames(frames))


def sound_of(sound: Source | Frames, sample_rate: int | None) -> Source | Frames:
    """The sound; or what `Recognizer.features` gave, which `adapted` once took."""
    if isinstance(sound, np.ndarray) and sound.ndim == 2 and sample_rate is None:
        _warn_old("adapted(features)", "adapted with sounds")
        return Frames(sound, normalised=True)
    return sound


def _warn_old(old: str, new: str) -> None:
    warnings.warn(f"{old} goes away in version 0.3.0: use {new}", DeprecationWarning,
                  stacklevel=3)
