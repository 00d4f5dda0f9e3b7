"""What a server recognises: the sentences of a grammar, dictation, or a client's phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from factored_asr.audio.reading import Source, read_blocks
from factored_asr.batch.cutting import JOINED_SECONDS, CutOptions, Cutter, join, shifted
from factored_asr.decoder import EndpointOptions
from factored_asr.dialogue import Reader, World
from factored_asr.errors import FormatError, MissingError
from factored_asr.language import Grammar
from factored_asr.lattice import SecondPass, SecondPassOptions
from factored_asr.models.grammars import read_understander
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.session import Pipeline
from factored_asr.recognizer.stream import Stream
from factored_asr.results.transcript import Transcript
from factored_asr.server.asked import Asked
from factored_asr.server.options import RefusedError

RICH = SecondPassOptions(keep=True, confidences=True)  # every word with its confidence


@dataclass(frozen=True, eq=False)
class Mode:
    """One graph with all that goes with it; connections and threads share it.

    Examples
    --------
    >>> from factored_asr.recognizer.recognizer import Recognizer
    >>> mode = Mode.of("commands", Recognizer.load("en-us", grammar="lm/smart_home.yaml"))
    >>> mode.name, mode.rate
    ('commands', 16000)
    """

    name: str
    """By which clients ask for it, as a model."""
    pipeline: Pipeline
    """Recognises, with a confidence for each word."""
    recognizer: Recognizer | None = None
    """What explains; None for the phrases of one connection."""
    reader: Reader | None = None
    """Understands sentences of the grammar; None in dictation."""
    world: World | None = None
    """The devices of the grammar, for conversations; None if it names none."""
    rich: Recognizer | None = None
    """Recognises as `pipeline`; None for the phrases of one connection."""

    @staticmethod
    def of(name: str, recognizer: Recognizer) -> Mode:
        """Return the mode of a recogniser, with its parser read."""
        recipe, rich = recognizer.recipe, recognizer
        reader, world = None, None
        if recipe is not None and recognizer.pipeline.second_pass is None:
            rich = recognizer.with_second_pass(RICH)
        if recipe is not None and recipe.grammar is not None:
            reader = Reader(read_understander(recipe.grammar, dict(recipe.vocabulary.lists)))
            with suppress(MissingError):  # most grammars have no world
                world = None if isinstance(recipe.grammar, Grammar) else World.read(recipe.grammar)
        return Mode(name, rich.pipeline, recognizer, reader, world, rich)

    def with_asked(self, asked: Asked, grammars: Mapping[str, Path | Grammar] | None = None
                   ) -> Mode:
        """Return the mode that expects what a client asks for; RefusedError where it cannot.

        `grammars`: those that it may name.
        """
        if self.rich is None or self.recognizer is None:
            raise RefusedError(400, "invalid", "a phrase_list is all there is: it goes without "
                               f"{asked.names}", "phrase_list")
        rich, reader = asked.of_recognizer(self.rich, grammars), self.reader
        if asked.lists and rich.recipe and rich.recipe.grammar:
            lists = dict(rich.recipe.vocabulary.lists)
            reader = Reader(read_understander(rich.recipe.grammar, lists))
        plain = asked.of_recognizer(self.recognizer, grammars)
        return Mode(self.name, rich.pipeline, plain, reader, self.world, rich)

    @staticmethod
    def of_phrases(pipeline: Pipeline) -> Mode:
        """Return the mode of phrases whose graph a pipeline holds."""
        options = pipeline.options.with_lattice()
        second = SecondPass(RICH, options.confidence)
        return Mode("phrases", replace(pipeline, options=options, second_pass=second))

    @property
    def understands(self) -> bool:
        """True where sound may have a meaning: with a grammar, or commands in dictation."""
        recipe = self.rich.recipe if self.rich else None
        return self.reader is not None or bool(recipe and recipe.vocabulary.commands)

    @property
    def rate(self) -> int:
        """Return the samples a second that it decodes."""
        return self.pipeline.model.sample_rate

    def stream(self) -> Stream:
        """Begin a stream; utterances of commands are re-decoded at their end."""
        return Stream(self.pipeline, EndpointOptions(), redecode=self.pipeline.is_grammar)

    def samples(self, source: Source, longest: float) -> np.ndarray:
        """Return a whole sound, (n_samples,); RefusedError if it is longer than `longest` s."""
        blocks = read_blocks(source, sample_rate=self.rate, block_seconds=1.0)
        return np.concatenate(list(_bounded(blocks, self.rate, longest)) or [_NONE])

    def parts(self, source: Source, longest: float) -> Iterator[Transcript]:
        """Transcribe a sound, cut at silences if it is long; yield the parts as they are done.

        A short sound is one part, as of `Recognizer.transcribe`. FormatError if it is no sound,
        `RefusedError` if it is longer than `longest` seconds.
        """
        grammar = self.pipeline.is_grammar
        cut = CutOptions() if grammar else CutOptions(join_seconds=JOINED_SECONDS)
        blocks = _bounded(read_blocks(source, sample_rate=self.rate, block_seconds=1.0),
                          self.rate, longest)
        head, n_samples = list[np.ndarray](), 0
        while n_samples <= cut.longer_than * self.rate and len(block := next(blocks, _NONE)):
            head.append(block)
            n_samples += len(block)
        if not head:
            raise FormatError(f"shorter than one sample at {self.rate} Hz")
        if n_samples <= cut.longer_than * self.rate:
            yield self.pipeline.transcribe(np.concatenate(head), self.rate)
            return
        cutter = Cutter(self.rate, cut)
        for piece in cutter.pieces(chain(head, blocks)):
            yield shifted(self.pipeline.transcribe(piece.samples, self.rate), piece.start)
        yield Transcript(duration=cutter.n_samples / self.rate, reason="end of the recording")


_NONE = np.zeros(0, np.float32)


def _bounded(blocks: Iterator[np.ndarray], rate: int, longest: float) -> Iterator[np.ndarray]:
    n_samples = 0
    for block in blocks:
        n_samples += len(block)
        if n_samples > longest * rate:
            raise RefusedError(413, "too_large", f"the sound is longer than {longest:g} s", "file")
        yield block


def joined(parts: list[Transcript]) -> Transcript:
    """Return the transcript of a whole sound from its `Mode.parts`."""
    return parts[0] if len(parts) == 1 else join(parts[:-1], parts[-1].duration)
