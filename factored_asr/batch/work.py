"""What a worker does: one sound to what will be written of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any

import numpy as np

from factored_asr import __version__
from factored_asr.audio.opening import is_bare
from factored_asr.audio.reading import Samples, check_rate, read_blocks
from factored_asr.batch.cutting import JOINED_SECONDS, CutOptions, Cutter, join, shifted
from factored_asr.batch.inputs import Input
from factored_asr.errors import FactoredASRError, FormatError, OptionError
from factored_asr.features.files import is_feature_file
from factored_asr.lattice import Lattice
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.results.formats import FORMATS, write
from factored_asr.results.numbers import with_digits
from factored_asr.results.subtitles import SubtitleOptions
from factored_asr.results.transcript import Transcript
from factored_asr.storage.cache import content_key

BLOCK_SECONDS = 1.0  # of sound, read at once


@dataclass(frozen=True)
class BatchOptions:
    """What is written of every sound.

    Examples
    --------
    >>> BatchOptions(format="srt").nbest
    0
    """

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
    subtitles: SubtitleOptions | None = None
    """Limits of srt and vtt; None: two lines of 42 characters, 7 s."""
    raw_rate: int | None = None
    """Hz of bare samples: on standard input, where None refuses them, and in files named .raw or
    .pcm, where None means 16,000."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.nbest < 0 or (self.nbest and self.digits):
            raise OptionError("nbest takes a number above 0, and does not go with digits")
        if self.raw_rate is not None:
            check_rate("-", self.raw_rate, "raw_rate")
        if self.nbest and self.format not in ("text", "json"):
            raise OptionError("nbest goes with the formats text and json")


@dataclass(frozen=True)
class Outcome:
    """What came of one sound."""

    text: str = ""
    """What is to be written, whole lines without the last line's end."""
    reason: str = ""
    """Why there are no words; empty if there are some."""
    error: str = ""
    """Why there is no text; empty if there is one."""
    seconds: float = 0.0
    """Of sound."""
    work_seconds: float = 0.0
    """Spent by the worker."""
    notices: tuple[str, ...] = ()
    """What is odd about the sound, which was read all the same."""
    lattices: tuple[Lattice, ...] = field(default=(), repr=False)
    """Of each piece, where they were asked for."""


@dataclass(frozen=True)
class Job:
    """What a worker must know besides the sound."""

    recipe: Recipe
    options: BatchOptions

    @staticmethod
    def of(recipe: Recipe, options: BatchOptions | None = None) -> Job:
        """Return a job; recordings are cut as suits commands or dictation by default."""
        options = options or BatchOptions()
        if options.cut is None:
            options = replace(options, cut=cut_for(recipe))
        return Job(recipe, options)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that outputs depend on besides the sounds, by name as plain values; of files, their
        content."""
        given = dataclasses.asdict(self.options)
        del given["lattices"]
        if self.options.raw_rate is None:
            del given["raw_rate"]  # as of versions without it
        recipe = self.recipe
        model = recipe.bundle.acoustic  # of a network more than its phones, which make the graph
        facts = {
            "version": __version__, "model and language": content_key(recipe.key(), model),
            "words": str(recipe.words and content_key(recipe.words)), "vocabulary":
            content_key(recipe.vocabulary),
            "decoding": recipe.settings.to_dict(), "guess": str(recipe.guess),
            "second language models": [content_key(path) for path in recipe.rescore_lms],
            "weights of language models": list(recipe.lm_weights), **given,
        }
        return dict(json.loads(json.dumps(facts, sort_keys=True, default=str)))

    @cached_property
    def key(self) -> str:
        """A short hash of the facts."""
        facts = json.dumps(self.facts, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


def cut_for(recipe: Recipe) -> CutOptions:
    """Return how recordings are cut: dictation less often, as its words depend on each other."""
    return CutOptions() if recipe.grammar else CutOptions(join_seconds=JOINED_SECONDS)


_loaded: dict[str, Recognizer] = {}
_loading = threading.Lock()


def perform(job: Job, sound: Input) -> Outcome:
    """Transcribe one sound in this process, which loads the recogniser of a job only once."""
    return transcribe_input(recognizer_of(job), sound, job.options)


def recognizer_of(job: Job) -> Recognizer:
    """Return the recogniser of a job, loaded by this process if it does not hold it."""
    return loaded(job.key, lambda: Recognizer.from_recipe(job.recipe))


def loaded(key: str, load: Callable[[], Recognizer]) -> Recognizer:
    """Return what `load` loads, unless this process holds it under its key."""
    with _loading:
        if key not in _loaded:
            _loaded.clear()  # another job's, if any: a worker holds one
            _loaded[key] = load()
        return _loaded[key]


def transcribe_input(recognizer: Recognizer, sound: Input, options: BatchOptions) -> Outcome:
    """Transcribe one sound; bad input becomes an outcome with an error."""
    began = time.perf_counter()
    lattices: list[Lattice] = []
    notices: dict[str, None] = {}

    def refine(found: Transcript) -> Transcript:
        if options.lattices and found.lattice is not None and found.lattice.n_nodes:
            lattices.append(found.lattice)
        return refined(found, options)

    try:
        blocks = partial(
            read_blocks, sound.name, sample_rate=recognizer.model.sample_rate, part=sound.part,
            array_rate=options.raw_rate if is_bare(sound.name) else None,
            block_seconds=BLOCK_SECONDS, notice=lambda text: notices.update({text: None}),
        )
        found = _transcript(recognizer, sound, blocks, options.cut or CutOptions(), refine)
    except FactoredASRError as error:
        law = str(error)
        named = law if sound.name in law else f"{sound.label}: {law}"
        return Outcome(error=named, work_seconds=time.perf_counter() - began)
    except Exception as error:  # a bug on one sound must not lose the others
        return Outcome(error=f"{sound.label}: {type(error).__name__}: {error}",
                       work_seconds=time.perf_counter() - began)
    found = replace(shifted(found, sound.part.start), id=sound.id, channel=sound.part.channel or 0)
    text = write(found, options.format, sound.name, options.subtitles)
    return Outcome(text, found.reason, "", found.duration, time.perf_counter() - began,
                   tuple(notices), tuple(lattices))


def refined(found: Transcript, options: BatchOptions) -> Transcript:
    """Return a transcript as it is written: with its N-best list or digits, without its lattice."""
    if options.nbest:
        found = replace(found, alternatives=found.nbest(options.nbest))
    return replace(with_digits(found) if options.digits else found, lattice=None)


def _transcript(recognizer: Recognizer, sound: Input, read: Callable[[], Iterator[Samples]],
                cut: CutOptions, refine: Callable[[Transcript], Transcript]) -> Transcript:
    """Transcribe a sound in one piece if it is short, else in pieces that are joined."""
    if is_feature_file(sound.name):
        return refine(recognizer.transcribe(sound.name))
    rate = recognizer.model.sample_rate
    transcribe = partial(recognizer.transcribe, sample_rate=rate)
    blocks = read()
    head: list[Samples] = []
    n_samples = 0
    while n_samples <= cut.longer_than * rate and (block := next(blocks, None)) is not None:
        head.append(block)
        n_samples += len(block)
    if not head:
        raise FormatError(f"shorter than one sample at {rate} Hz", sound.name)
    if n_samples <= cut.longer_than * rate:
        return refine(transcribe(np.concatenate(head)))
    cutter = Cutter(rate, cut)
    parts = [shifted(refine(transcribe(piece.samples)), piece.start)
             for piece in cutter.pieces(chain(head, blocks))]
    return join(parts, cutter.n_samples / rate)
