"""The interface of acoustic models: sound in, log-likelihoods of pdfs out.

Everything outside this package works with any object that has these attributes and methods; what
frames are made of, and what scores them, stays inside. `gmm.GmmModel` is one implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from factored_asr.acoustic.topology import Topology


NO_CLARITY = np.zeros((0, 2), np.float32)
"""`AcousticSession.clarity` of models whose likelihoods are no probabilities."""


class AcousticSession(Protocol):
    """The scoring of one sound, chunk by chunk.

    A session belongs to one thread at a time. Scores are natural-log likelihoods without an
    acoustic scale, float32, one row a frame and one column for each pdf that was asked for, in
    ascending order of the pdfs.
    """

    @property
    def speech(self) -> np.ndarray:
        """(n_frames,) bool: which frames so far stand out of the background as speech."""

    @property
    def clarity(self) -> np.ndarray:
        """(n_frames, 2) float32 of the frames so far: the probability of the likeliest phone, and
        of all phones together; `NO_CLARITY` where the model gives no probabilities."""

    @property
    def in_noise(self) -> bool:
        """True where the scores are compensated for the noise of the sound; False until known."""

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the scores that these samples complete, (n_ready, n_pdfs); it may be empty.

        Parameters
        ----------
        samples
            (n_samples,) float32 in [-1, 1] or int16, at the model's sample rate, any number.

        Raises
        ------
        FormatError
            A sample is not finite.
        OptionError
            The samples are of another type or shape.
        """

    def accept_frames(self, frames: Frames) -> np.ndarray:
        """Return the scores of ready-made frames, in place of samples; see `read_frames`.

        Raises
        ------
        OptionError
            The model takes no ready-made frames, or frames of another shape.
        FormatError
            A value is not finite.
        """

    def finish(self) -> Iterator[np.ndarray]:
        """End the sound; yield the scores still missing, in blocks of (n, n_pdfs)."""

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the whole finished sound again, for any pdfs, in blocks.

        Scores that were given before have the same values. Only after `finish`, and only of
        sessions with ``whole=True``.
        """

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        """Return the score of each frame of the whole finished sound under one pdf, (n_frames,).

        Parameters
        ----------
        pdfs
            (n_frames,) int: that of each frame.
        """


@runtime_checkable
class EarlySession(Protocol):
    """A session that waits for more sound than it needs to give scores of some sort."""

    def early(self) -> np.ndarray:
        """Return scores of the frames that wait, (n_frames, n_pdfs); those given later differ."""


@runtime_checkable
class ContinuedSession(Protocol):
    """A session that the next one of the same speaker goes on from, once it is finished."""

    @property
    def running_mean(self) -> np.ndarray | None:
        """(n_values,): what is subtracted from frames; None where the next sound starts afresh."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Ready-made frames of a model's own front end, which take the place of samples."""

    values: np.ndarray
    """(n_frames, n_values) float32."""
    normalised: bool = False
    """False: static frames before any normalisation. True: features of a whole sound, ready to be
    scored."""
    seconds: float = 0.01
    """From one frame to the next."""


@dataclass(frozen=True, eq=False)
class SpeakerEvidence:
    """One finished sound of a speaker, with the state sequence that a decode found for it."""

    session: AcousticSession
    """Of the whole sound."""
    pdfs: np.ndarray
    """(n_frames,) int: pdf of each frame on the best path."""
    weights: np.ndarray
    """(n_frames,) float: how much each frame counts, 0 to 1."""


class AcousticModel(Protocol):
    """What the recogniser, graphs, alignment and explanations need of an acoustic model."""

    @property
    def name(self) -> str:
        """The kind of the model, for messages and `info`: ``GMM``, ``network``, …"""

    @property
    def sample_rate(self) -> int:
        """Samples a second that sessions take, Hz."""

    @property
    def frame_seconds(self) -> float:
        """Seconds from one row of scores to the next."""

    @property
    def look_ahead_seconds(self) -> float:
        """Seconds of sound that a session with ``whole=False`` waits for before it scores."""

    @property
    def phones(self) -> tuple[str, ...]:
        """Names of the phones, silence and fillers among them."""

    @property
    def silence(self) -> str:
        """The phone of silence; empty for a model without one (CTC)."""

    @property
    def fillers(self) -> tuple[str, ...]:
        """Phones that are no speech, silence among them."""

    @property
    def topology(self) -> Topology:
        """The HMMs of all units, and which unit a phone in context is."""

    @property
    def n_pdfs(self) -> int:
        """Number of pdfs."""

    def describe(self) -> dict[str, str]:
        """Return what `info` prints of the model: name of each fact → its value."""

    def session(
        self, pdfs: np.ndarray, *, whole: bool, after: AcousticSession | None = None
    ) -> AcousticSession:
        """Begin a sound.

        Parameters
        ----------
        pdfs
            Ascending: the pdfs to score. A grammar uses a few hundred of thousands.
        whole
            True: the session may look at the whole sound before it scores (means, noise), and
            gives nothing before `finish`. False: it scores as the sound arrives.
        after
            The session of the same speaker's sound before: running means go on from it.
        """

    def configured(self, tools: Any) -> AcousticModel:
        """Return the model with other tools against noise; see `models.settings.DecodeOptions`.

        Raises
        ------
        OptionError
            The model has no such tool.
        """

    def adapted(
        self, sounds: Sequence[SpeakerEvidence], options: Any = None,
        previous: AcousticModel | None = None,
    ) -> AcousticModel:
        """Return the model adapted to the speaker of these sounds.

        Parameters
        ----------
        sounds
            What was recognised of the speaker.
        options
            How freely the model may move, in the model's own terms; None: its defaults.
        previous
            The adapted model by which the sounds were recognised; None: this one.

        Raises
        ------
        OptionError
            The model cannot be adapted in this way.
        """

    def normalised_over(self, sounds: Sequence[AcousticSession]) -> AcousticModel:
        """Return the model with one normalisation for all of these sounds of one speaker.

        Parameters
        ----------
        sounds
            Finished sessions of whole sounds.
        """

    def read_frames(self, path: str | Path) -> Frames:
        """Read a file of ready-made frames of the model's own front end.

        Raises
        ------
        OptionError
            The model reads no such files.
        FormatError
            The file breaks its format.
        """
