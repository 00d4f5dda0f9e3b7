"""Cut long recordings at silences while they are read, and join the transcripts of the pieces.

Memory holds one piece and some seconds of the sound, however long it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.audio.reading import Samples
from factored_asr.errors import OptionError
from factored_asr.features.voice import FRAME_SECONDS, LevelStream, VoiceOptions, VoiceStream
from factored_asr.lattice.rejection import NO_SPEECH
from factored_asr.results.transcript import Transcript, Word

JOINED_SECONDS = 12.0  # dictation: longer pieces give more context
MAX_GAP = 2.0  # seconds: the longest silence inside a joined piece


@dataclass(frozen=True)
class CutOptions:
    """When and where a recording is cut.

    Examples
    --------
    >>> CutOptions(longer_than=0, join_seconds=10.0).max_seconds  # pieces of 10 to 30 s
    30.0
    """

    longer_than: float = 60.0
    """Seconds: shorter sounds are not cut. 0: cut all; inf: none."""
    max_seconds: float = 30.0
    """Seconds: the longest piece; without a silence it is cut at its quietest place. Higher: fewer
    words are cut, more memory."""
    join_seconds: float = 0.0
    """Seconds: segments of speech are joined until a piece is this long. 0, for commands: each
    segment is a piece."""
    voice: VoiceOptions = field(default_factory=VoiceOptions)
    """How silence is detected."""

    def __post_init__(self) -> None:
        if not self.longer_than >= 0 or not 2 <= self.max_seconds < float("inf"):
            raise OptionError("cutting needs longer_than >= 0 and max_seconds of at least 2, "
                              f"got {self.longer_than} and {self.max_seconds}")
        if not 0 <= self.join_seconds <= self.max_seconds:
            raise OptionError(f"join_seconds must lie in 0..max_seconds, got {self.join_seconds}")


@dataclass(frozen=True, eq=False)
class Piece:
    """A segment of speech in a recording.

    Examples
    --------
    >>> sound = np.zeros(16000, np.float32)
    >>> Piece(12.5, sound).start
    12.5
    """

    start: float
    """Seconds from the start of the recording."""
    samples: Samples
    """(n_samples,) float32."""


class Cutter:
    """Cuts one recording, block by block; `rate` are its samples a second.

    Examples
    --------
    >>> sound = np.random.default_rng(1).normal(0, 1e-3, 80000).astype(np.float32)
    >>> sound[32000:48000] *= 100  # loud from 2 s to 3 s
    >>> cutter = Cutter(16000)
    >>> pieces = cutter.pieces([sound])
    >>> [(round(piece.start, 2), len(piece.samples) / 16000) for piece in pieces]
    [(1.75, 1.61)]
    """

    def __init__(self, rate: int, options: CutOptions | None = None):
        self._options = options or CutOptions()
        self._rate = rate
        self._levels, self._voice = LevelStream(rate), VoiceStream(self._options.voice)
        self._hop = self._levels.frame_samples
        self._samples = np.zeros(0, np.float32)  # of the frames from _first on
        self._loudness = np.zeros(0, np.float32)  # of the same frames
        self._first = 0
        self._at = 0  # the next frame
        self._begin: int | None = None  # of the piece that is open
        self._end = 0  # of the speech in it
        self._max_frames = round(self._options.max_seconds / FRAME_SECONDS)
        self.n_samples = 0
        """Samples accepted so far."""

    def pieces(self, blocks: Iterable[Samples]) -> Iterator[Piece]:
        """Yield the pieces of a whole recording as soon as they are complete."""
        for block in blocks:
            yield from self.accept(block)
        yield from self.finish()

    def accept(self, samples: Samples) -> list[Piece]:
        """Accept the next samples, (k,) float32; return the pieces that are complete."""
        self.n_samples += len(samples)
        self._samples = np.concatenate([self._samples, samples])
        levels = self._levels.accept(samples)
        self._loudness = np.concatenate([self._loudness, levels])
        pieces = list(self._walk(self._voice.accept(levels)))
        self._forget()
        return pieces

    def finish(self) -> list[Piece]:
        """Return the remaining pieces at the end of the recording."""
        pieces = list(self._walk(self._voice.finish()))
        if self._begin is not None:
            pieces.append(self._piece(self._begin, self._end))
        return pieces

    def _walk(self, speech: np.ndarray) -> Iterator[Piece]:
        joined = self._options.join_seconds
        for is_speech in speech.tolist():
            if is_speech:
                if self._begin is not None and self._end < self._at and (
                    (self._at - self._begin) * FRAME_SECONDS > joined
                ):
                    yield self._piece(self._begin, self._end)
                    self._begin = None
                if self._begin is None:
                    self._begin = self._at
                elif self._at - self._begin >= self._max_frames:
                    yield self._cut_off(self._begin)
                self._end = self._at + 1
            self._at += 1
            if self._begin is not None and self._at - self._end > MAX_GAP / FRAME_SECONDS:
                yield self._piece(self._begin, self._end)
                self._begin = None

    def _cut_off(self, begin: int) -> Piece:
        """Return the open piece up to the quietest frame of its second half; keep the rest open."""
        first = begin + self._max_frames // 2
        quiet = self._loudness[first - self._first : begin + self._max_frames - self._first]
        smooth = np.convolve(quiet, np.ones(5) / 5, mode="same")
        place = first + 2 + int(np.argmin(smooth[2:-2]))
        self._begin = place
        return self._piece(begin, place)

    def _piece(self, begin: int, end: int) -> Piece:
        first, last = ((frame - self._first) * self._hop for frame in (begin, end))
        return Piece(begin * self._hop / self._rate, self._samples[first:last].copy())

    def _forget(self) -> None:
        """Drop samples that no piece needs, in steps of a second, so that little is copied."""
        keep = self._at if self._begin is None else self._begin
        if (keep - self._first) * FRAME_SECONDS > 1.0:
            self._samples = self._samples[(keep - self._first) * self._hop :].copy()
            self._loudness = self._loudness[keep - self._first :].copy()
            self._first = keep


def shifted(transcript: Transcript, seconds: float) -> Transcript:
    """Return the transcript of a segment with times counted from the start of its file.

    Examples
    --------
    >>> piece = Transcript((Word("yes", 0.25, 0.5, phone_ends=(0.5,)),), duration=1.0)
    >>> moved = shifted(piece, 10)
    >>> moved.start, moved.words[0].start, moved.words[0].phone_ends
    (10.0, 10.25, (10.5,))
    """
    if not seconds:
        return transcript
    return replace(
        transcript, words=_later(transcript.words, seconds), start=transcript.start + seconds,
        alternatives=tuple(replace(each, words=_later(each.words, seconds))
                           for each in transcript.alternatives),
        parts=tuple(shifted(part, seconds) for part in transcript.parts),
    )


def join(parts: Iterable[Transcript], duration: float) -> Transcript:
    """Join the transcripts of the pieces of a recording of `duration` seconds.

    The pieces are in order, with times from its start; those without words are dropped.

    Examples
    --------
    >>> yes, no = Transcript((Word("yes", 1.0, 1.4),)), Transcript((Word("no", 61.0, 61.5),))
    >>> joined = join([yes, Transcript(reason="no speech"), no], duration=100.0)
    >>> joined.text, len(joined.parts)
    ('yes no', 2)
    """
    all_parts = tuple(parts)
    kept = tuple(part for part in all_parts if part.words or part.interpretation)
    words = tuple(word for part in kept for word in part.words)
    known = [part.confidence for part in kept if part.confidence is not None]
    confidence = math.prod(known) if known and len(known) == len(kept) else None
    reason = "" if words else next((p.reason for p in all_parts if p.reason), NO_SPEECH)
    return Transcript(words, duration, confidence, reason=reason, parts=kept,
                      timed_by=next((part.timed_by for part in kept if part.timed_by), ""))


def _later(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    return tuple(
        replace(word, start=word.start + seconds, end=word.end + seconds,
                phone_ends=tuple(end + seconds for end in word.phone_ends))
        for word in words
    )
