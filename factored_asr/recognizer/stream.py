"""One speaker's sound as it comes: the pipeline a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.audio.reading import as_samples
from factored_asr.decoder import EndpointOptions, is_endpoint
from factored_asr.decoder.background import RivalSearch
from factored_asr.features import FrontEnd
from factored_asr.lattice import Lattice
from factored_asr.results.transcript import Transcript

SECOND_LOOK_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Parts:
    """What a stream takes from its recogniser."""

    front_end: FrontEnd
    score: Callable[[np.ndarray], Iterable[np.ndarray]]
    """Blocks of scores of (n_frames, n_features) features."""
    transcript: Callable[[Lattice], Transcript]
    """What an utterance comes to once its search has ended."""
    search: RivalSearch
    """The stream's own."""
    again: Callable[[np.ndarray], Transcript] | None = None
    """Recognises all samples of an utterance anew at its end; nothing does where None."""


class Stream:
    """One speaker's sound as it comes; an utterance ends by `finish`, and the next one begins.

    A stream belongs to one thread at a time. The running cepstral mean is kept from utterance to
    utterance; times count from the start of each.
    """

    def __init__(self, parts: Parts, endpoint: EndpointOptions):
        self._parts, self._rules, self._search = parts, endpoint, parts.search
        self._rate = parts.front_end.options.sample_rate
        self._mean: np.ndarray | None = None
        self._begin()

    def _begin(self) -> None:
        self._search.start()
        self._features = self._parts.front_end.stream(self._mean)
        self._kept: list[np.ndarray] = []
        self._n_samples = 0

    def accept(self, samples: ArrayLike) -> bool:
        """Take the next samples: (n_samples,) float32 or int16 at the model's rate.

        Returns
        -------
        True once the speaker seems to have finished: then call `finish`.

        Raises
        ------
        FormatError
            A sample is not finite.
        OptionError
            The samples are of another type or shape.
        """
        checked = as_samples(samples)
        self._n_samples += len(checked)
        if self._parts.again and self._n_samples <= SECOND_LOOK_SECONDS * self._rate:
            self._kept.append(checked)
        else:
            self._kept.clear()
        self._advance(self._features.accept(checked))
        return self.endpoint

    def partial(self) -> str:
        """The text so far; its last words may still change."""
        path = self._search.partial()
        return "" if path is None else " ".join(path.words)

    @property
    def endpoint(self) -> bool:
        """True where the rules say that the utterance has ended."""
        path, seconds = self._search.partial(), self._parts.front_end.options.frame_shift
        if path is None:
            return True
        return is_endpoint(
            path.trailing_silence * seconds, self._search.final_relative_cost(),
            self._search.n_frames * seconds, path.has_speech, self._rules,
        )

    def finish(self) -> Transcript:
        """End the utterance; what is accepted afterwards belongs to the next."""
        self._advance(self._features.finish())
        if self._parts.again and self._kept:
            result = self._parts.again(np.concatenate(self._kept))
        else:
            result = self._parts.transcript(self._search.finish())
        self._mean = self._features.mean
        self._begin()
        return result

    def _advance(self, features: np.ndarray) -> None:
        for scores in self._parts.score(features):
            self._search.advance(scores)
