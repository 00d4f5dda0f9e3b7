"""One speaker's sound as it comes: a session without look-ahead, one utterance after the other."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.acoustic.model import Frames
from factored_asr.audio.arrays import is_bytes
from factored_asr.audio.microphone import Resampler
from factored_asr.audio.reading import as_samples
from factored_asr.decoder import EndpointOptions, is_endpoint
from factored_asr.recognizer.session import Pipeline, Session
from factored_asr.results.transcript import Transcript

REDECODE_SECONDS = 30.0  # longer utterances keep the result of the stream


class Stream:
    """One speaker's sound as it comes; an utterance ends by `finish`, and the next one begins.

    A stream belongs to one thread at a time. Its running normalisation is kept from utterance to
    utterance; times count from the start of each.

    `endpoint`: when an utterance counts as ended. `redecode`: decode each utterance of up to
    `REDECODE_SECONDS` at its end as `Recognizer.transcribe` decodes a file, with the mean and the
    noise of the whole utterance. `sample_rate`: Hz of the samples; None is the model's.

    Examples
    --------
    >>> from factored_asr.recognizer.recognizer import Recognizer
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> stream = recognizer.stream()
    >>> sound = recognizer.read("examples/audio/music_stop.wav")
    >>> for block in np.array_split(sound, 20):
    ...     ended = stream.accept(block)
    >>> stream.finish().text
    'stop the music'
    """

    def __init__(self, pipeline: Pipeline, endpoint: EndpointOptions, redecode: bool,
                 sample_rate: int | None = None):
        self._pipeline, self._rules, self._redecode = pipeline, endpoint, redecode
        wanted = pipeline.model.sample_rate
        self._resampler = Resampler(wanted if sample_rate is None else sample_rate, wanted)
        self._session = Session(pipeline, whole=False)
        self._kept: list[np.ndarray] = []
        self._n_samples = 0
        self._half = b""  # of a sample that bytes ended within

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream stays in its process: make one in each, of a recogniser there")

    def accept(self, samples: ArrayLike | bytes) -> bool:
        """Take the next samples: (n_samples,) float32 or int16 at the stream's rate, or bytes.

        Bytes are little-endian int16 samples; a piece may end within one.

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
        if is_bytes(samples):
            data = self._half + bytes(samples)
            whole = len(data) // 2 * 2
            samples, self._half = data[:whole], data[whole:]
        self._accept(self._resampler(as_samples(samples)))
        return self.endpoint

    def accept_frames(self, frames: Frames, samples: np.ndarray) -> bool:
        """Take frames of the model that were computed already, in place of samples.

        Parameters
        ----------
        frames
            As `AcousticSession.accept_frames` of the recogniser's model takes them.
        samples
            (n_samples,) float32: the sound under them, at the model's rate, for the times of words
            and for decoding again.

        Returns as `accept`. Raises OptionError where the model takes no frames, or others.
        """
        self._keep(samples)
        self._session.accept_frames(frames, samples)
        return self.endpoint

    def _accept(self, checked: np.ndarray) -> None:
        self._keep(checked)
        self._session.accept(checked)

    def _keep(self, checked: np.ndarray) -> None:
        """Keep what is to be decoded again."""
        self._n_samples += len(checked)
        if self._n_samples > REDECODE_SECONDS * self._pipeline.model.sample_rate:
            self._kept.clear()
        elif self._redecode and len(checked):
            self._kept.append(checked)

    def partial(self) -> str:
        """The text so far; its last words may still change."""
        path = self._session.partial()
        return "" if path is None else " ".join(path.words)

    @property
    def endpoint(self) -> bool:
        """True where the rules say that the utterance has ended."""
        path, seconds = self._session.partial(), self._pipeline.model.frame_seconds
        if path is None:
            return True
        return is_endpoint(path.trailing_silence * seconds, self._session.final_relative_cost,
                           self._session.n_frames * seconds, path.has_speech, self._rules)

    def finish(self) -> Transcript:
        """End the utterance; what is accepted afterwards belongs to the next."""
        if len(rest := self._resampler.rest()):
            self._accept(rest)
        session, kept = self._session, self._kept
        if kept:
            session.close()
            samples, rate = np.concatenate(kept), self._pipeline.model.sample_rate
            result = self._pipeline.transcribe(samples, rate)
        else:
            result = session.finish()
        self._session = Session(self._pipeline, whole=False, after=session)
        self._kept, self._n_samples, self._half = [], 0, b""
        return result
