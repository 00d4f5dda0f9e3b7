"""One stream of frames for all that listens: detectors and recognisers share what is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic.network.encoder import FIELD, HOP
from factored_asr.acoustic.network.head import Head
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.windows import BEFORE, Window, WindowedFrames
from factored_asr.acoustic.samples import checked_samples
from factored_asr.acoustic.threads import blas_threads
from factored_asr.errors import OptionError

DETECTION = Window(left=125, new=8, right=4, first=25)
"""Windows of detectors: a frame is there 0.28 s after its sound, at most."""
AGAIN = 125
"""Frames, 3 s, that are computed once more where a keyword may be."""
LAYERS = (1, 3)
"""Which of the encoder's h[0] … h[7] detectors get."""


@dataclass(frozen=True, eq=False)
class FrameBlock:
    """Some frames in a row, of 24 ms each, and the sound that they were computed of.

    Examples
    --------
    >>> block = FrameBlock(10, np.zeros((5, 40)), np.zeros((5, 288)), np.zeros((5, 384)))
    >>> block.first + len(block.log_probs)  # the first frame of the next block
    15
    """

    first: int
    """Number of the first frame, from 0 at the start of the sound."""
    log_probs: np.ndarray
    """(n_frames, n_pdfs) float32: natural log of the probability of the blank and each phone."""
    hidden: np.ndarray
    """(n_frames, n_layers · 288) float32: the encoder's vectors after each of `LAYERS`."""
    samples: np.ndarray
    """(n_frames, 384) float32: the sound under each frame; zeros stand for what ends before."""
    ahead: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    """(n_samples,) float32: the sound after them that they depend on."""


class _Taps:
    """What a head gives, and the layers below it, side by side."""

    def __init__(self, head: Head, layers: Sequence[int]):
        self._head, self._layers = head, layers
        self.context = head.context

    def __call__(self, hidden: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([self._head(hidden), *(hidden[i] for i in self._layers)], axis=1)


class FrameStream:
    """The frames of one sound as it comes, computed once.

    Blocks are the same whatever the chunks in which the sound arrives. A stream belongs to one
    thread at a time.

    Parameters
    ----------
    model
        The network whose frames these are; of one with changes of its encoder, those of its
        `NetworkModel.plain`.
    window
        How the sound is cut into pieces; fewer new frames: earlier detections for more work.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> stream = FrameStream(Bundle.find("en-us-network").acoustic_model())
    >>> blocks = [*stream.accept(np.zeros(16000, np.float32)), *stream.finish()]
    >>> sum(len(block.log_probs) for block in blocks)
    42
    """

    def __init__(self, model: NetworkModel, window: Window = DETECTION):
        if not isinstance(model, NetworkModel):
            raise OptionError(
                f"detectors share the frames of a network, not of a {model.name}: use the model "
                "en-us-network"
            )
        self.model = model = model.plain
        self._n_pdfs = model.n_pdfs
        self._frames = WindowedFrames(model.encoder, _Taps(model.head, LAYERS), window)
        self._sound = np.zeros(0, np.float32)
        self._n_ahead = window.right * HOP + FIELD - HOP - BEFORE
        self.n_frames = 0
        """Frames computed so far; each is computed once for all that use it."""

    def accept(self, samples: np.ndarray) -> list[FrameBlock]:
        """Return the blocks that these samples complete.

        Parameters
        ----------
        samples
            (n_samples,) float32 in [-1, 1] or int16, at the model's rate, any number.

        Raises
        ------
        FormatError
            A sample is not finite.
        OptionError
            The samples are of another type or shape.
        """
        samples = checked_samples(samples)
        self._sound = np.concatenate([self._sound, samples])
        return list(self._blocks(self._frames.accept(samples)))

    def finish(self) -> list[FrameBlock]:
        """End the sound; return the blocks still missing."""
        return list(self._blocks(self._frames.finish()))

    def _blocks(self, computed: Iterable[np.ndarray]) -> Iterator[FrameBlock]:
        for values in computed:
            n_samples = len(values) * HOP
            own = self._sound[:n_samples]
            self._sound = self._sound[n_samples:]
            own = np.concatenate([own, np.zeros(n_samples - len(own), np.float32)])
            first, self.n_frames = self.n_frames, self.n_frames + len(values)
            yield FrameBlock(first, values[:, : self._n_pdfs], values[:, self._n_pdfs :],
                             own.reshape(-1, HOP), self._sound[: self._n_ahead])


def whole_frames(model: NetworkModel, samples: np.ndarray, first: int = 0) -> FrameBlock:
    """Return the frames of a short sound, each with all of the sound in mind.

    Parameters
    ----------
    model
        The network whose encoder and head compute the frames.
    samples
        (n_samples,) float32 at the model's rate, some seconds.
    first
        Number of the first frame.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> whole_frames(model, np.zeros(16000, np.float32)).log_probs.shape
    (42, 40)
    """
    stream = FrameStream(model, Window(left=0, new=len(samples) // HOP + 1, right=0))
    with blas_threads(1):
        (block,) = [*stream.accept(samples), *stream.finish()]
    return replace(block, first=first)


class Recent:
    """The last frames of a sound, to be judged once more, with the sound after them in mind.

    Parameters
    ----------
    model
        The network whose encoder and head compute frames.
    n_frames
        That are kept.
    recompute
        False: they stay as they were computed.
    """

    def __init__(self, model: NetworkModel, n_frames: int, recompute: bool):
        self._model, self._n_frames, self._recompute = model, n_frames, recompute
        self._kept: list[FrameBlock] = []
        self._known: FrameBlock | None = None

    def accept(self, block: FrameBlock) -> None:
        """Take the next frames."""
        self._kept.append(block)
        while block.first - self._kept[0].first >= self._n_frames:
            del self._kept[0]
        self._known = None

    def frames(self) -> FrameBlock:
        """Return the last frames; computed once more, there are some more at the end."""
        if self._known is None:
            first, ahead = self._kept[0].first, self._kept[-1].ahead
            samples = np.concatenate([each.samples for each in self._kept])
            if self._recompute:
                sound = np.concatenate([samples.ravel(), ahead])
                self._known = whole_frames(self._model, sound, first)
            else:
                log_probs, hidden = (np.concatenate(each) for each in zip(
                    *((block.log_probs, block.hidden) for block in self._kept), strict=True))
                self._known = FrameBlock(first, log_probs, hidden, samples, ahead)
        return self._known
