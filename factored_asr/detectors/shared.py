"""Detectors and a recogniser on one sound; a wake word opens the recogniser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.acoustic.model import Frames
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.audio.microphone import Resampler
from factored_asr.audio.reading import as_samples
from factored_asr.decoder import EndpointOptions
from factored_asr.detectors.detection import Detection, Detector, Listener
from factored_asr.detectors.frames import FrameBlock
from factored_asr.detectors.keywords import KeywordDetector
from factored_asr.errors import OptionError
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.results.transcript import Transcript

Report = Detection | Transcript
"""What a `SharedStream` gives."""


class SharedStream:
    """One sound as it comes, for some detectors and a recogniser.

    Frames are computed once for all detectors, and for the recogniser, too, if its model has the
    encoder as it comes. A model with changes of the encoder, as commands of en-us-network have,
    computes frames of its own while an utterance is recognised.

    With a `KeywordDetector` among the detectors, a keyword opens the recogniser. One utterance is
    recognised, which follows the keyword; then the next keyword is waited for. Without such a
    detector all utterances are recognised. Reports are the same for any chunks.

    Times of detections count from the start of the sound, those of a transcript from the start of
    its utterance: that is the end of the keyword which opened it.

    Parameters
    ----------
    recognizer
        Of the model en-us-network, or of another network.
    detectors
        What else listens.
    endpoint
        When an utterance counts as ended.
    redecode
        Decode each utterance again at its end, as `Recognizer.stream` does: better scores of longer
        windows, for which frames of the utterance are computed a second time. None (default): if
        the recogniser computes frames of its own.
    sample_rate
        Hz of the samples; None: the model's.

    Raises OptionError where the model is no network.

    Examples
    --------
    >>> from factored_asr.detectors import KeywordDetector
    >>> from factored_asr.recognizer import Recognizer
    >>> recognizer = Recognizer.load("en-us-network", grammar="lm/smart_home.yaml")
    >>> stream = SharedStream(recognizer, [KeywordDetector({"music": ["M Y UW Z IH K"]})])
    >>> found = stream.accept(recognizer.read("examples/audio/music_stop.wav"))
    >>> found += stream.accept(recognizer.read("examples/audio/kitchen_light_on.wav"))
    >>> wake, said = found + stream.finish()
    >>> wake.name, said.text
    ('music', 'turn on the kitchen light')
    """

    def __init__(
        self, recognizer: Recognizer, detectors: Iterable[Detector],
        endpoint: EndpointOptions | None = None, *, redecode: bool | None = None,
        sample_rate: int | None = None,
    ):
        model = recognizer.model
        if not isinstance(model, NetworkModel):
            raise OptionError(
                f"detectors share the frames of a network, not of a {model.name}: load the "
                "recogniser from en-us-network"
            )
        detectors = tuple(detectors)
        self._listener = Listener(model, detectors)
        self._by_wake = any(isinstance(each, KeywordDetector) for each in detectors)
        self._shares, self._seconds = model.plain is model, model.frame_seconds
        self._stream = recognizer.stream(
            endpoint, redecode=not self._shares if redecode is None else redecode)
        self._open = not self._by_wake
        self._resampler = Resampler(model.sample_rate if sample_rate is None else sample_rate,
                                    model.sample_rate)

    @property
    def open(self) -> bool:
        """True while an utterance is recognised."""
        return self._open

    def partial(self) -> str:
        """Return the text of the utterance so far; empty between utterances."""
        return self._stream.partial() if self._open else ""

    def accept(self, samples: ArrayLike) -> list[Report]:
        """Take the next samples as `Stream.accept` does; return what they make certain."""
        return self._reports(self._listener.blocks(self._resampler(as_samples(samples))))

    def finish(self) -> list[Report]:
        """End the sound; return what is left."""
        found = self._reports(self._listener.blocks(self._resampler.rest()))
        found += self._reports(self._listener.rest())
        found += self._listener.left()
        return [*found, *self._utterance()] if self._open else found

    def _reports(self, heard: Iterable[tuple[FrameBlock, list[Detection]]]) -> list[Report]:
        found: list[Report] = []
        for block, detections in heard:
            found += detections
            start = 0
            if not self._open:
                ends = [each.end for each in detections if each.kind == "wake"]
                if not ends:
                    continue
                self._open, start = True, max(0, round(ends[0] / self._seconds) - block.first)
            sound = np.ravel(block.samples[start:])
            if len(sound) and self._heard(sound, block.log_probs[start:]):
                found += self._utterance()
        return found

    def _heard(self, sound: np.ndarray, log_probs: np.ndarray) -> bool:
        """Recognise some sound; return whether the utterance has ended."""
        if self._shares:
            return self._stream.accept_frames(Frames(log_probs), sound)
        return self._stream.accept(sound)

    def _utterance(self) -> list[Report]:
        """End the utterance; return its transcript, if it has words."""
        said, self._open = self._stream.finish(), not self._by_wake
        return [said] if said else []


def reports(stream: SharedStream, blocks: Iterable[ArrayLike]) -> Iterator[Report]:
    """Yield what a stream finds in blocks of sound, as it happens.

    Examples
    --------
    >>> from factored_asr.detectors import KeywordDetector
    >>> from factored_asr.recognizer import Recognizer
    >>> recognizer = Recognizer.load("en-us-network", grammar="lm/smart_home.yaml")
    >>> stream = SharedStream(recognizer, [KeywordDetector({"music": ["M Y UW Z IH K"]})])
    >>> sound = recognizer.read("examples/audio/music_stop.wav")
    >>> [report.name for report in reports(stream, np.array_split(sound, 5))]
    ['music']
    """
    for block in blocks:
        yield from stream.accept(block)
    yield from stream.finish()
