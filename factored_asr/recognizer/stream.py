"""One speaker's sound as it comes: a session without look-ahead, one utterance after the other."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.acoustic.model import AcousticSession, Frames
from factored_asr.audio.arrays import is_bytes
from factored_asr.audio.microphone import Resampler
from factored_asr.audio.reading import as_samples
from factored_asr.decoder import EndpointOptions, is_endpoint
from factored_asr.recognizer.session import Pipeline, Session
from factored_asr.results.transcript import Transcript

REDECODE_SECONDS = 30.0  # longer utterances keep the result of the stream
FIRST_SECONDS = 0.2  # of new sound before what waits is searched, while no word is found
EARLY_SECONDS = 0.4  # the same later: words are final half a second after their end


class Stream:
    """One speaker's sound as it comes; an utterance ends by `finish`, and the next one begins.

    A stream belongs to one thread at a time. Its running normalisation is kept from utterance to
    utterance; times count from the start of each.

    With `redecode` the first search keeps neither a lattice nor the background model nor times,
    which saves memory. If an utterance gets longer than `REDECODE_SECONDS`, its sound so far is
    searched once more with them.

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
        self._before: AcousticSession | None = None  # of the utterance before
        self._begin()
        self._half = b""  # of a sample that bytes ended within

    def _begin(self) -> None:
        """Begin an utterance."""
        self._session = Session(self._pipeline, whole=False, after=self._before,
                                draft=self._redecode)
        self._kept: list[tuple[np.ndarray, Frames | None]] = []
        self._n_samples = self._n_early = 0
        self._early = 0, ""  # frames searched, and the text with what was found beyond them

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
        self._accept(samples, frames)
        return self.endpoint

    def _accept(self, samples: np.ndarray, frames: Frames | None = None) -> None:
        self._n_samples += len(samples)
        if self._redecode and self._n_samples <= REDECODE_SECONDS * self._rate:
            if len(samples):
                self._kept.append((samples, frames))
        elif self._kept:  # too long to be decoded again: the result is that of a stream
            kept, self._kept = self._kept, []
            self._session = Session(self._pipeline, whole=False, after=self._before)
            for each in kept:
                self._take(*each)
        self._take(samples, frames)

    def _take(self, samples: np.ndarray, frames: Frames | None) -> None:
        if frames is None:
            self._session.accept(samples)
        else:
            self._session.accept_frames(frames, samples)

    @property
    def _rate(self) -> int:
        return self._pipeline.model.sample_rate

    def partial(self, *, early: bool = False) -> str:
        """The text so far; its last words may still change.

        `early`: search also the sound that does not fill a window of a network yet, each 0.2 s
        while no word is found, each 0.4 s later. Words come sooner, for more work.
        """
        path = self._session.partial()
        text = "" if path is None else " ".join(path.words)
        if path is None or not early:
            return text
        n_frames = self._session.n_frames
        if self._early[0] != n_frames:
            ahead = self._early[1]  # may have a word that the window does not reach
            self._early = n_frames, ahead if text and f"{ahead} ".startswith(f"{text} ") else text
        searched = round(n_frames * self._pipeline.model.frame_seconds * self._rate)
        waits = EARLY_SECONDS if self._early[1] else FIRST_SECONDS
        if self._n_samples - max(self._n_early, searched) >= waits * self._rate:
            self._n_early = self._n_samples
            path = self._session.early()
            self._early = n_frames, text if path is None else " ".join(path.words)
        return self._early[1]

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
        if self._kept:
            self._session.close()
            samples = np.concatenate([samples for samples, _ in self._kept])
            result = self._pipeline.transcribe(samples, self._rate)
        else:
            result = self._session.finish()
        self._before, self._half = self._session.acoustic, b""
        self._begin()
        return result
