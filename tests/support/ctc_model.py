"""An acoustic model of another kind: 40 ms frames, one state a phone, a blank, no silence phone.

A frame's energies at the phones' tones, through a softmax, are the posteriors of phones and blank,
as a CTC network would give them; quiet frames are blank. `MODEL`, `read` and `write` make this
module a kind of `models.kinds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic import N_POSITIONS, Topology
from factored_asr.errors import FormatError, OptionError
from support.tones import PHONES, RATE, TONES

FRAME = 640  # samples
QUIET = 1e-3  # mean square below which nothing is said


def _log_posteriors(frames: np.ndarray) -> np.ndarray:
    """(n_frames, FRAME) samples to (n_frames, 1 + n_phones): blank, then the phones."""
    time = np.arange(FRAME) / RATE
    tones = np.exp(-2j * np.pi * np.array([TONES[phone] for phone in PHONES])[..., None] * time)
    amplitude = np.abs(np.einsum("nt,pft->npf", frames, tones)) * 2 / FRAME
    logits = np.column_stack([np.full(len(frames), 5.0), 80.0 * amplitude.min(axis=2)])
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@dataclass
class CtcSession:
    """The scoring of one sound."""

    pdfs: np.ndarray
    whole: bool
    in_noise: bool = False
    _rest: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    _frames: list[np.ndarray] = field(default_factory=list)
    _n_given: int = 0

    @property
    def speech(self) -> np.ndarray:
        return (np.array(self._frames).reshape(-1, FRAME) ** 2).mean(axis=1) > QUIET

    @property
    def clarity(self) -> np.ndarray:
        return np.zeros((0, 2), np.float32)

    def accept(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype not in (np.float32, np.int16) or samples.ndim != 1:
            raise OptionError(f"samples must be flat float32 or int16, got {samples.dtype}")
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / 32768
        if not np.isfinite(samples).all():
            raise FormatError("a sample is not finite")
        joined = np.concatenate([self._rest, samples])
        n = len(joined) // FRAME
        self._frames += list(joined[: n * FRAME].reshape(n, FRAME))
        self._rest = joined[n * FRAME :]
        return self._ready() if not self.whole else np.zeros((0, len(self.pdfs)), np.float32)

    def accept_frames(self, frames: np.ndarray) -> np.ndarray:
        raise OptionError("this model reads no frames")

    def finish(self) -> Iterator[np.ndarray]:
        if len(self._rest):
            self._frames.append(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = self._rest[:0]
        yield self._ready()

    def scores(self, pdfs: np.ndarray) -> Iterator[np.ndarray]:
        for first in range(0, len(self._frames), 50):
            frames = np.array(self._frames[first : first + 50])
            yield _log_posteriors(frames)[:, pdfs].astype(np.float32)

    def path_scores(self, pdfs: np.ndarray) -> np.ndarray:
        all_scores = np.concatenate([*self.scores(np.arange(1 + len(PHONES)))])
        return all_scores[np.arange(len(pdfs)), pdfs]

    def _ready(self) -> np.ndarray:
        frames = np.array(self._frames[self._n_given :]).reshape(-1, FRAME)
        self._n_given = len(self._frames)
        return _log_posteriors(frames)[:, self.pdfs].astype(np.float32)


@dataclass(frozen=True)
class CtcModel:
    """The model; `factored_asr.acoustic.model.AcousticModel` says what its parts are."""

    name: str = "tones"
    sample_rate: int = RATE
    frame_seconds: float = FRAME / RATE
    look_ahead_seconds: float = FRAME / RATE
    phones: tuple[str, ...] = PHONES
    silence: str = ""
    fillers: tuple[str, ...] = ()
    n_pdfs: int = 1 + len(PHONES)

    @cached_property
    def topology(self) -> Topology:
        unit, zeros = np.arange(len(PHONES)), np.zeros((len(PHONES), 1))
        return Topology(
            PHONES, "", (), unit, unit[:, None] + 1, unit[:, None] + 1, zeros, zeros, unit,
            np.repeat(unit, N_POSITIONS)[:, None, None], blank_pdf=0,
        )

    def describe(self) -> dict[str, str]:
        return {"phones": " ".join(PHONES)}

    def session(self, pdfs: np.ndarray, *, whole: bool, after: Any = None) -> CtcSession:
        return CtcSession(np.asarray(pdfs), whole)

    def configured(self, tools: Any) -> CtcModel:
        if tools:
            raise OptionError("this model has no tools against noise")
        return self

    def adapted(
        self, sounds: Sequence[Any], options: Any = None, previous: Any = None
    ) -> CtcModel:
        raise OptionError("this model cannot be adapted")

    def normalised_over(self, sounds: Sequence[Any]) -> CtcModel:
        return self

    def read_frames(self, path: str | Path) -> np.ndarray:
        raise OptionError("this model reads no files of frames")


MODEL = CtcModel


def read(folder: Path, facts: Mapping[str, Any]) -> CtcModel:
    return CtcModel()


def write(folder: Path, model: CtcModel) -> dict[str, Any]:
    return {}
