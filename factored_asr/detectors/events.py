"""Sound events: which of some classes is heard, clip by clip and as the sound goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.windows import Window
from factored_asr.acoustic.threads import blas_threads
from factored_asr.detectors.classifier import Classifier, fit, pooled
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.frames import FrameBlock, FrameStream
from factored_asr.errors import OptionError

SHIPPED = Path(__file__).parent / "sound_events.npz"
"""Ten everyday classes, and what is none of them; made by tests/bench/sound_events.py."""
OTHER = "other"
"""Name of the class of sounds that are not reported, such as speech."""
WINDOW, STEP = 84, 21
"""Frames of a stretch that is classified, and from one to the next: 2 s and 0.5 s."""
QUIET_DB, SILENT_DB = 50.0, -75.0
"""Frames so far below the loudest of their stretch, or below full scale, are left out."""
FEWEST = 10
"""Frames of a stretch that must not be silent."""
PENALTY = 30.0
"""Of training, as for `classifier.fit`."""
LEARNING = Window(left=125, new=100, right=6)
"""Windows of training, which takes a third of the time with longer ones."""


@dataclass(frozen=True)
class EventOptions:
    """When an event is reported.

    Examples
    --------
    >>> EventOptions(threshold=0.8).threshold  # fewer events, surer ones
    0.8
    """

    threshold: float = 0.6
    """Probability of a class from which on it counts as heard; higher: fewer detections."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise OptionError(f"threshold must lie between 0 and 1, got {self.threshold}")


def heard(hidden: np.ndarray, samples: np.ndarray) -> np.ndarray | None:
    """Return what is classified of a stretch of frames; None where nearly all of it is silent.

    Parameters
    ----------
    hidden, samples
        Of the frames, as in `FrameBlock`.
    """
    level = 10 * np.log10(np.square(samples, dtype=np.float64).mean(axis=1) + 1e-12)
    kept = level > max(level.max() - QUIET_DB, SILENT_DB)
    return pooled(hidden[kept]) if kept.sum() >= FEWEST else None


class EventDetector:
    """Reports sound events of the classes that a classifier knows.

    Parameters
    ----------
    classifier
        One of `train_events`; None: the shipped one of ten everyday classes.
    options
        When an event is reported.

    Examples
    --------
    >>> from factored_asr.detectors import detect
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> list(detect(model, [EventDetector()], "examples/audio/silence.wav"))
    []
    """

    def __init__(self, classifier: Classifier | None = None, options: EventOptions | None = None):
        self.classifier = classifier or Classifier.read(SHIPPED)
        self.options = options or EventOptions()

    def session(self, model: NetworkModel) -> EventSession:
        """Begin a sound."""
        return EventSession(self, model)

    def classify(self, stream: FrameStream, samples: np.ndarray) -> dict[str, float]:
        """Return the probability of each class for a whole clip, likeliest first.

        Parameters
        ----------
        stream
            A fresh stream of frames.
        samples
            The clip, as for `FrameStream.accept`.

        Raises OptionError where the clip is silent.
        """
        x = clip(stream, samples)
        if x is None:
            raise OptionError("the clip is silent: it has no class")
        found = self.classifier.probabilities(x[None])[0]
        order = np.argsort(-found)
        return {self.classifier.names[i]: float(found[i]) for i in order}


class EventSession:
    """The events of one sound: neighbouring stretches of one class are one event."""

    def __init__(self, detector: EventDetector, model: NetworkModel):
        self._classifier, self._threshold = detector.classifier, detector.options.threshold
        self._seconds = model.frame_seconds
        self._hidden = np.zeros((0, 0), np.float32)
        self._samples = np.zeros((0, 0), np.float32)
        self._first = 0  # frame at which what is kept begins
        self._open: Detection | None = None

    def accept(self, block: FrameBlock) -> list[Detection]:
        """Return the events that these frames end."""
        if not len(self._hidden):
            self._hidden, self._samples = block.hidden, block.samples
        else:
            self._hidden = np.concatenate([self._hidden, block.hidden])
            self._samples = np.concatenate([self._samples, block.samples])
        found = []
        while len(self._hidden) >= WINDOW:
            found += self._classified(WINDOW)
            self._hidden, self._samples = self._hidden[STEP:], self._samples[STEP:]
            self._first += STEP
        return found

    def finish(self) -> list[Detection]:
        """End the sound; return the event that lasts until its end."""
        found = []
        if len(self._hidden) >= FEWEST and (self._first == 0 or len(self._hidden) > WINDOW - STEP):
            found = self._classified(len(self._hidden))
        return found + ([self._open] if self._open else [])

    def _classified(self, n_frames: int) -> list[Detection]:
        """Classify the first frames that are kept; return the event that this ends, if any."""
        x = heard(self._hidden[:n_frames], self._samples[:n_frames])
        name, score = OTHER, 1.0
        if x is not None:
            probabilities = self._classifier.probabilities(x[None])[0]
            best = int(probabilities.argmax())
            name, score = self._classifier.names[best], float(probabilities[best])
        start, end = self._first * self._seconds, (self._first + n_frames) * self._seconds
        before = self._open
        if name == OTHER or score < self._threshold:
            self._open = None
        elif before is not None and before.name == name and start <= before.end:
            self._open = Detection("event", name, before.start, end, max(score, before.score))
            return []
        else:
            self._open = Detection("event", name, start, end, score)
        return [before] if before is not None else []


def clip(stream: FrameStream, samples: np.ndarray) -> np.ndarray | None:
    """Return what is classified of a whole clip; None where it is silent."""
    return heard(*_frames(stream, samples))


def stretches(stream: FrameStream, samples: np.ndarray) -> list[np.ndarray]:
    """Return what is classified of a clip: all of it, and each stretch of `WINDOW` frames."""
    hidden, sound = _frames(stream, samples)
    ends = [(0, len(hidden)), *((at, at + WINDOW) for at in
                                range(0, max(len(hidden) - WINDOW, 0) + 1, 2 * STEP))]
    found = (heard(hidden[a:b], sound[a:b]) for a, b in ends)
    return [each for each in found if each is not None]


def _frames(stream: FrameStream, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and sound of all frames of a clip."""
    with blas_threads(1):
        blocks = [*stream.accept(samples), *stream.finish()]
    return (np.concatenate([block.hidden for block in blocks]),
            np.concatenate([block.samples for block in blocks]))


def train_events(
    classes: Sequence[tuple[str, Sequence[Path]]], stream: Callable[[], FrameStream],
    read: Callable[[Path], np.ndarray], *, penalty: float = PENALTY, description: str = "",
    progress: Callable[[str], None] = lambda text: None,
) -> Classifier:
    """Train a classifier of sound events.

    Parameters
    ----------
    classes
        Each class's name and its sound files, at least one; a class `OTHER` is never reported.
    stream
        Makes a fresh stream of frames for each file.
    read
        Reads a file's samples at the model's rate.
    penalty
        As for `classifier.fit`.
    description
        Kept with the classifier.
    progress
        Called with what is being done.

    Examples
    --------
    >>> from factored_asr.audio.reading import read_audio
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> folder = Path("examples/audio")
    >>> made = train_events(
    ...     [("music", [folder / "music_stop.wav"]), ("blinds", [folder / "blinds_open.wav"])],
    ...     lambda: FrameStream(model), lambda file: read_audio(file)[0])
    >>> made.names
    ('music', 'blinds')
    """
    x, labels = list[np.ndarray](), list[int]()
    for number, (name, files) in enumerate(classes):
        progress(f"{name}: {len(files)} files")
        for file in files:
            found = stretches(stream(), read(file))
            x += found
            labels += [number] * len(found)
    return fit(np.array(x), labels, [name for name, _ in classes], penalty=penalty,
               description=description)


def classes_of(folder: Path, files: Iterable[Path]) -> list[tuple[str, list[Path]]]:
    """Sort files by the folder below `folder` in which they lie, which names their class."""
    found: dict[str, list[Path]] = {}
    for file in sorted(files):
        found.setdefault(file.relative_to(folder).parts[0], []).append(file)
    return sorted(found.items())
