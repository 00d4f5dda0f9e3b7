"""What a worker does: one sound to what will be written of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any

import numpy as np

from factored_asr import __version__
from factored_asr.audio.reading import Samples, read_blocks
from factored_asr.batch.cutting import (
    JOINED_SECONDS,
    CutOptions,
    Cutter,
    Piece,
    join,
    shifted,
)
from factored_asr.batch.inputs import Input
from factored_asr.errors import FactoredASRError, FormatError, OptionError
from factored_asr.features.files import is_feature_file
from factored_asr.lattice import Lattice
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.results.formats import FORMATS, write
from factored_asr.results.numbers import with_digits
from factored_asr.results.transcript import Transcript
from factored_asr.storage.cache import content_key

BLOCK_SECONDS = 1.0  # of sound, read at once


@dataclass(frozen=True)
class BatchOptions:
    """What is written of every sound."""

    format: str = "text"
    """One of `factored_asr.results.formats.FORMATS`."""
    digits: bool = False
    """Numbers as digits."""
    nbest: int = 0
    """Length of N-best lists; 0: none."""
    lattices: bool = False
    """Whether outcomes hold lattices."""
    adapted: str = ""
    """Whose voice the recogniser is adapted to, a word for the record: outputs depend on it."""
    cut: CutOptions | None = None
    """How long recordings are cut; None: as suits commands or dictation."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.nbest < 0 or (self.nbest and self.digits):
            raise OptionError("nbest takes a number above 0, and does not go with digits")
        if self.nbest and self.format not in ("text", "json"):
            raise OptionError("nbest goes with the formats text and json")


@dataclass(frozen=True)
class Outcome:
    """What came of one sound."""

    text: str = ""
    """What is to be written, whole lines without the last line's end."""
    reason: str = ""
    """Why no words were heard, where none were."""
    error: str = ""
    """Why there is no text; empty where there is."""
    seconds: float = 0.0
    """Of sound."""
    work_seconds: float = 0.0
    """That the worker was at it."""
    lattices: tuple[Lattice, ...] = field(default=(), repr=False)
    """Of each piece, where they were asked for."""


@dataclass(frozen=True)
class Job:
    """What a worker must know besides the sound; travels to it."""

    recipe: Recipe
    options: BatchOptions

    @staticmethod
    def of(recipe: Recipe, options: BatchOptions | None = None) -> Job:
        """A job with its cutting settled."""
        options = options or BatchOptions()
        if options.cut is None:
            options = replace(options, cut=cut_for(recipe))
        return Job(recipe, options)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """By name all that outputs depend on besides the sounds, as plain values; files count by
        their content. Reads them all, once."""
        told = dataclasses.asdict(self.options)
        del told["lattices"]
        recipe = self.recipe
        facts = {
            "version": __version__, "model and language": recipe.key(),
            "decoding": recipe.settings.to_dict(), "guess": str(recipe.guess),
            "second language models": [content_key(path) for path in recipe.rescore_lms],
            "weights of language models": list(recipe.lm_weights), **told,
        }
        return dict(json.loads(json.dumps(facts, sort_keys=True, default=str)))

    @cached_property
    def key(self) -> str:
        """A short hash of the facts."""
        facts = json.dumps(self.facts, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


def cut_for(recipe: Recipe) -> CutOptions:
    """Commands stand alone; dictation is cut less often, for its words hang together."""
    return CutOptions() if recipe.grammar else CutOptions(join_seconds=JOINED_SECONDS)


_loaded: dict[str, Recognizer] = {}
_loading = threading.Lock()


def perform(job: Job, sound: Input) -> Outcome:
    """Transcribe one sound in this process, which loads the recogniser of a job only once.

    Bad input becomes an outcome with an error; only what is no fault of the sound is raised.
    """
    return transcribe_input(
        loaded(job.key, lambda: Recognizer.from_recipe(job.recipe)), sound, job.options
    )


def loaded(key: str, load: Callable[[], Recognizer]) -> Recognizer:
    """The recogniser of a job, loaded by this process if it does not hold it."""
    with _loading:
        if key not in _loaded:
            _loaded.clear()  # another job's, if any: a worker holds one
            _loaded[key] = load()
        return _loaded[key]


def transcribe_input(recognizer: Recognizer, sound: Input, options: BatchOptions) -> Outcome:
    """Transcribe one sound by a given recogniser; see `Outcome`."""
    began = time.perf_counter()
    lattices: list[Lattice] = []

    def refine(said: Transcript) -> Transcript:
        if options.lattices and said.lattice is not None and said.lattice.n_nodes:
            lattices.append(said.lattice)
        if options.nbest:
            said = replace(said, alternatives=said.nbest(options.nbest))
        return replace(with_digits(said) if options.digits else said, lattice=None)

    try:
        said = _heard(recognizer, sound, options.cut or CutOptions(), refine)
    except FactoredASRError as error:
        told = str(error)
        named = told if sound.name in told else f"{sound.label}: {told}"
        return Outcome(error=named, work_seconds=time.perf_counter() - began)
    said = replace(shifted(said, sound.part.start), id=sound.id, channel=sound.part.channel or 0)
    return Outcome(
        write(said, options.format, sound.name), said.reason, "", said.duration,
        time.perf_counter() - began, tuple(lattices),
    )


def _heard(
    recognizer: Recognizer, sound: Input, cut: CutOptions,
    refine: Callable[[Transcript], Transcript],
) -> Transcript:
    """A sound in one piece if it is short, else in pieces that are joined."""
    if is_feature_file(sound.name):
        return refine(recognizer.transcribe(sound.name))
    rate = recognizer.model.sample_rate
    hear = partial(recognizer.transcribe, sample_rate=rate)
    blocks = read_blocks(
        sound.name, sample_rate=rate, block_seconds=BLOCK_SECONDS, part=sound.part
    )
    head, is_whole = _head(blocks, cut.longer_than * rate)
    if not head:
        raise FormatError(f"shorter than one sample at {rate} Hz", sound.name)
    if is_whole:
        return refine(hear(np.concatenate(head)))
    cutter = Cutter(rate, cut)
    parts = []
    for piece in _pieces(cutter, chain(head, blocks)):
        parts.append(shifted(refine(hear(piece.samples)), piece.start))
    return join(parts, cutter.n_samples / rate)


def _head(blocks: Iterator[Samples], n_samples: float) -> tuple[list[Samples], bool]:
    """The blocks until there is more than n_samples, and whether they are all."""
    head, total = [], 0
    for block in blocks:
        head.append(block)
        total += len(block)
        if total > n_samples and not math.isinf(n_samples):
            return head, False
    return head, True


def _pieces(cutter: Cutter, blocks: Iterator[Samples]) -> Iterator[Piece]:
    for block in blocks:
        yield from cutter.accept(block)
    yield from cutter.finish()
