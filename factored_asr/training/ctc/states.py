"""What the encoder makes of a corpus: its states of each utterance, as it is and in copies.

The encoder is frozen, so its states are computed once and kept in a folder, as 16-bit numbers;
training reads them from there. An interrupted computation resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from factored_asr.corpus.distort import Distortion, distorted
from factored_asr.corpus.utterance import Utterance, read_samples
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.reading import read_array, read_json
from factored_asr.storage.writing import whole_file
from factored_asr.training.parallel import over

BLOCK = 64  # utterances of one file
LONGEST = 40.0  # seconds of an utterance: memory of the attention grows with the square
N_BABBLE = 30  # utterances of which babble is made


class Encoding(Protocol):
    """What is needed of an encoder."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    def states(self, samples: np.ndarray) -> np.ndarray:
        """Return (n_frames, n_values) of a whole sound."""


@dataclass(frozen=True)
class CopyOptions:
    """Which copies of each utterance are trained on."""

    copies: int = 4
    """Distorted copies of each utterance, besides itself."""
    distortion: Distortion = Distortion()
    """What is drawn for them."""

    def __post_init__(self) -> None:
        if self.copies < 0:
            raise OptionError(f"copies is {self.copies}, must be at least 0")


@dataclass(frozen=True, eq=False)
class States:
    """The encoder's states of utterances and their copies."""

    utterances: tuple[Utterance, ...]
    """Those that could be encoded."""
    n_copies: int
    """Sounds of each utterance: itself, and its distorted copies."""
    arrays: tuple[tuple[np.ndarray, ...], ...]
    """For each utterance and copy (n_frames, n_values), float16."""
    skipped: tuple[str, ...] = ()
    """Why utterances were left out, one line each."""

    def __len__(self) -> int:
        return len(self.utterances)

    def __add__(self, other: States) -> States:
        """Return the utterances of both; those with fewer copies keep these."""
        return replace(
            self, utterances=self.utterances + other.utterances,
            n_copies=max(self.n_copies, other.n_copies), arrays=self.arrays + other.arrays,
            skipped=self.skipped + other.skipped,
        )

    @property
    def n_values(self) -> int:
        """Numbers of each frame."""
        return int(self.arrays[0][0].shape[1])

    def select(self, indices: Sequence[int]) -> States:
        """Return some of the utterances with their copies."""
        return replace(self, utterances=tuple(self.utterances[i] for i in indices),
                       arrays=tuple(self.arrays[i] for i in indices))


def encode(
    utterances: Sequence[Utterance], encoder: Encoding, folder: str | Path,
    options: CopyOptions | None = None, *, noises: Sequence[np.ndarray] = (), jobs: int = 1,
    tick: Callable[[int, int], None] | None = None,
) -> States:
    """Compute the encoder's states of utterances and their copies, or read those that are there.

    Utterances that cannot be read, or last longer than 40 s, are left out.

    Parameters
    ----------
    folder
        Where the states are kept: 24 kB for each second, copy and layer. States of other
        utterances or options get other files.
    noises
        Sounds at the encoder's rate to mix with; empty: computed noises and other utterances.
    jobs
        Processes that share the work.
    tick
        Called with blocks done and blocks in all; None disables it.
    """
    options, folder = options or CopyOptions(), Path(folder)
    key = _key(utterances, encoder, options, noises)
    blocks = [tuple(utterances[i : i + BLOCK]) for i in range(0, len(utterances), BLOCK)]
    places = [folder / f"{key}-{number:04}.npy" for number in range(len(blocks))]
    missing = [i for i, place in enumerate(places) if not place.with_suffix(".json").is_file()]
    babble = _babble(utterances, encoder.sample_rate) if missing and options.copies else []
    for first in range(0, len(missing), jobs):
        some = missing[first : first + jobs]
        tasks = [(blocks[i], encoder, places[i], options, noises, babble) for i in some]
        over(_encode_block, tasks, jobs)
        if tick:
            tick(len(places) - len(missing) + first + len(some), len(places))
    return _read(blocks, places, 1 + options.copies)


def _encode_block(
    utterances: Sequence[Utterance], encoder: Encoding, place: Path, options: CopyOptions,
    noises: Sequence[np.ndarray], babble: Sequence[np.ndarray],
) -> None:
    """Write the states of a block of utterances, copy by copy, and where each begins."""
    rate, parts = encoder.sample_rate, list[np.ndarray]()
    index: list[list[int] | str] = []
    for utterance in utterances:
        try:
            samples = read_samples(utterance, rate)
        except (FormatError, MissingError) as error:
            index.append(str(error))
            continue
        if len(samples) > LONGEST * rate:
            index.append(f"{utterance.where}lasts longer than {LONGEST:g} s")
            continue
        sounds = [samples, *(
            distorted(samples, rate, options.distortion, name=utterance.id, number=number,
                      noises=noises, speech=babble)
            for number in range(1, options.copies + 1)
        )]  # fmt: skip
        states = [encoder.states(sound).astype(np.float16) for sound in sounds]
        index.append([len(each) for each in states])
        parts += states
    joined = np.concatenate(parts) if parts else np.zeros((0, 1), np.float16)
    with whole_file(place) as part, part.open("wb") as file:
        np.save(file, joined)
    with whole_file(place.with_suffix(".json")) as part:
        part.write_text(json.dumps(index), encoding="utf-8")


def _read(
    blocks: Sequence[Sequence[Utterance]], places: Sequence[Path], n_copies: int
) -> States:
    kept, arrays, skipped = [], [], []
    for block, place in zip(blocks, places, strict=True):
        joined, first = read_array(place, mapped=True), 0
        for utterance, lengths in zip(block, read_json(place.with_suffix(".json")), strict=True):
            if isinstance(lengths, str):
                skipped.append(lengths)
                continue
            ends = first + np.cumsum(lengths)
            arrays.append(tuple(np.split(joined[first : int(ends[-1])], ends[:-1] - first)))
            kept.append(utterance)
            first = int(ends[-1])
    return States(tuple(kept), n_copies, tuple(arrays), tuple(skipped))


def _babble(utterances: Sequence[Utterance], sample_rate: int) -> list[np.ndarray]:
    """Read some utterances, evenly spread, to make babble of."""
    sounds = []
    for utterance in utterances[:: 1 + len(utterances) // N_BABBLE]:
        try:
            sounds.append(read_samples(utterance, sample_rate))
        except (FormatError, MissingError):
            continue  # it is reported where it is encoded
    return sounds


def _key(
    utterances: Sequence[Utterance], encoder: Encoding, options: CopyOptions,
    noises: Sequence[np.ndarray],
) -> str:
    """Return a name for these states: a digest of all that they are made of, but for the sounds."""
    total = hashlib.sha256(repr((encoder, options)).encode())
    for each in utterances:
        total.update(repr((each.id, str(each.path), each.start, each.end)).encode())
    for noise in noises:
        total.update(np.ascontiguousarray(noise).tobytes())
    return total.hexdigest()[:16]
