"""One utterance from samples to its transcript: the only pipeline there is.

    samples → AcousticSession → log-likelihoods → Search → Lattice → decision → Transcript

A whole file is a session that may look at all of its sound before it scores; a stream is the same
session without. Both are fed in chunks of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from factored_asr.acoustic.model import (
    AcousticModel,
    AcousticSession,
    ContinuedSession,
    EarlySession,
    Frames,
)
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.reading import Source, check_rate, read_audio, read_blocks
from factored_asr.decoder import Search
from factored_asr.errors import FormatError
from factored_asr.features.files import is_feature_file
from factored_asr.graph import Graph
from factored_asr.lattice import HotwordPass, Lattice, SecondPass, TwiceScored, WordSegment
from factored_asr.lattice import Path as BestPath
from factored_asr.lattice.combine import CombineOptions, combined
from factored_asr.lattice.rejection import (
    NO_SPEECH,
    Evidence,
    Rejection,
    command_share,
    is_denial,
    rejection,
)
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.times import Spoken, WordTimer, word_timer
from factored_asr.results.transcript import Transcript, words_of
from factored_asr.understanding import Interpretation

BLOCK_SECONDS = 10.0  # of a file, read at once
DRAFT_STEPS = 1 << 15  # back-pointers that a draft holds: 400 kB
TIE = 0.01  # less than this between costs counts as the same


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What the sessions of one recogniser share; nothing in it changes."""

    model: AcousticModel
    """Configured with the tools against noise of the options."""
    graph: Graph
    """What may be said."""
    options: DecodeOptions
    """Scale, beams, rejection."""
    background: Graph | None = None
    """The background model of a grammar; None: every sound is taken for a sentence of it."""
    is_grammar: bool = False
    """True: the graph holds the sentences of a grammar, which count only whole."""
    second_pass: SecondPass | None = None
    """What follows the search; None: nothing does."""
    interpret: Callable[[Lattice, BestPath | None], Interpretation | None] | None = None
    """Reads the meaning of a lattice next to the background's best path; None: there is none."""
    hotwords: HotwordPass | None = None
    """Scores hotwords exactly, before all decisions; None: there are none."""

    @cached_property
    def pdfs(self) -> np.ndarray:
        """The pdfs that the searches need scores of, ascending."""
        if self.background is None:
            return self.graph.pdfs
        return np.union1d(self.graph.pdfs, self.background.pdfs)

    @property
    def timer(self) -> WordTimer | None:
        """What gives words their times; None where the model's own times are kept."""
        return word_timer() if self.options.align_words else None

    def transcribe(self, source: Source | Frames, sample_rate: int | None = None) -> Transcript:
        """Recognise a whole sound; see `Recognizer.transcribe`."""
        session = Session(self, whole=True)
        session.feed(source, sample_rate)
        said = session.finish()
        is_file = isinstance(source, str | Path) and source != "-"
        return replace(said, source=str(source)) if is_file else said


@dataclass(frozen=True, eq=False)
class Found:
    """What the searches of a finished session found."""

    lattice: Lattice
    """Of the graph."""
    background: BestPath | None = None
    """The best path of the background model; None where there is none."""
    in_noise: bool = False
    """True where the scores were compensated for noise: other margins hold then."""
    speech: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n_frames,) bool: the frames that stand out as speech."""
    sound: AcousticSession | None = None
    """The sound for the pipeline's timer, finished; None where there is no timer."""
    parts: tuple[BestPath, ...] = ()
    """The best path in each part of the graph: of plain sentences, and of denied ones."""

    @property
    def evidence(self) -> Evidence:
        """What the best path is compared with."""
        denied = self.parts[1] if len(self.parts) > 1 else None
        speech = None if self.speech.all() else self.speech  # all: ready-made features
        return Evidence(self.background, denied, speech, self.in_noise)


class Searches:
    """The search over a graph, and the one over its background model, through the same scores."""

    def __init__(self, pipeline: Pipeline, draft: bool = False):
        """`draft`: keep the best path of the graph alone."""
        beam, alone = pipeline.options.beam, replace(pipeline.options.beam, lattice_beam=0.0)
        self._scale = np.float32(pipeline.options.acoustic_scale)
        if draft:
            beam = replace(alone, history_steps=min(beam.history_steps, DRAFT_STEPS))
        self.graph = Search(pipeline.graph, beam, pdfs=pipeline.pdfs)
        self._background: Search | None = None
        if pipeline.background is not None and not draft:
            self._background = Search(pipeline.background, alone, pdfs=pipeline.pdfs)

    def advance(self, blocks: Iterable[np.ndarray]) -> None:
        """Search further frames: blocks of log-likelihoods, (n_frames, n_pdfs) each."""
        for scores in blocks:
            scaled = scores * self._scale
            self.graph.advance(scaled)
            if self._background is not None:
                self._background.advance(scaled)

    def early(self, scores: np.ndarray) -> BestPath | None:
        """Return the best path of the graph as if these scores were next; nothing changes."""
        branch = self.graph.branch()
        branch.advance(scores * self._scale)
        return branch.partial()

    def finish(self, acoustic: AcousticSession) -> Found:
        """End the utterance that this session scored."""
        background = None if self._background is None else self._background.finish().best()
        parts = self.graph.part_paths()
        lattice = replace(self.graph.finish(), clarity=acoustic.clarity)
        return Found(lattice, background, acoustic.in_noise, acoustic.speech, parts=parts)


class Session:
    """One utterance; it belongs to one thread at a time.

    `whole`: score the sound once all of it is there (unlimited look-ahead), or as it arrives, with
    partial results. `after`: the acoustic session of the same speaker's utterance before, from
    which running means go on. `draft`: only partial results are of interest, and that an utterance
    has ended: no lattice, background model or times; `close` takes the place of `finish`.
    """

    def __init__(self, pipeline: Pipeline, *, whole: bool, after: AcousticSession | None = None,
                 draft: bool = False):
        self.pipeline, self._whole, self._draft = pipeline, whole, draft
        self.acoustic: AcousticSession = pipeline.model.session(
            pipeline.pdfs, whole=whole, after=after
        )
        self._sound = pipeline.timer.listen() if pipeline.timer and not draft else None

    @cached_property
    def _searches(self) -> Searches:
        """Begun with the first scores: those of a whole sound come at its end."""
        return Searches(self.pipeline, self._draft)

    def accept(self, samples: np.ndarray) -> None:
        """Take samples, (n_samples,) float32 or int16, at the model's rate."""
        with blas_threads(self.pipeline.options.threads):
            scores = self.acoustic.accept(samples)
            if self._sound is not None:
                self._sound.accept(samples)
            if len(scores):
                self._searches.advance([scores])

    def accept_frames(self, frames: Frames, samples: np.ndarray) -> None:
        """Take frames of the model that were computed already, and the samples under them."""
        with blas_threads(self.pipeline.options.threads):
            scores = self.acoustic.accept_frames(frames)
            if self._sound is not None:
                self._sound.accept(samples)
            if len(scores):
                self._searches.advance([scores])

    def feed(self, source: Source | Frames, sample_rate: int | None = None) -> None:
        """Take a whole source: a file, standard input, an array, or ready-made frames.

        Parameters and errors are those of `Recognizer.transcribe`.
        """
        model = self.pipeline.model
        with blas_threads(self.pipeline.options.threads):
            for scores in scores_of(self.acoustic, model, source, sample_rate, self._sound):
                if len(scores):
                    self._searches.advance([scores])

    def partial(self) -> BestPath | None:
        """The best path so far; its last words may still change. None where no path survives."""
        return self._searches.graph.partial()

    def early(self) -> BestPath | None:
        """The best path through the sound that does not fill a window yet, too; None: no such."""
        if not isinstance(self.acoustic, EarlySession):
            return None
        with blas_threads(self.pipeline.options.threads):
            scores = self.acoustic.early()
            return self._searches.early(scores) if len(scores) else None

    @property
    def final_relative_cost(self) -> float:
        """Cost by which ending now lies behind going on; inf where no path may end here."""
        return self._searches.graph.final_relative_cost()

    @property
    def n_frames(self) -> int:
        """Frames searched so far."""
        return self._searches.graph.n_frames

    def finish(self) -> Transcript:
        """End the utterance."""
        return decide(self.pipeline, self.search())

    def search(self) -> Found:
        """End the utterance, without a decision: search what is left."""
        with blas_threads(self.pipeline.options.threads):
            scores = self.acoustic.finish()
            if not self._whole or self.acoustic.speech.any():
                self._searches.advance(scores)
            if self._sound is not None:
                self._sound.finish()
            return replace(self._searches.finish(self.acoustic), sound=self._sound)

    def redecode(self, pipeline: Pipeline) -> Found:
        """Search the scores of the whole finished sound by another graph or other options."""
        with blas_threads(self.pipeline.options.threads):
            searches = Searches(pipeline)
            searches.advance(self.acoustic.scores(pipeline.pdfs))
            return replace(searches.finish(self.acoustic), sound=self._sound)

    def close(self) -> None:
        """End the utterance where only what the next one goes on from is of interest."""
        if isinstance(self.acoustic, ContinuedSession):
            with blas_threads(self.pipeline.options.threads):
                for _ in self.acoustic.finish():
                    pass


def scores_of(
    acoustic: AcousticSession, model: AcousticModel, source: Source | Frames,
    sample_rate: int | None = None, sound: AcousticSession | None = None,
) -> Iterator[np.ndarray]:
    """Feed a whole source to an acoustic session; yield what it scores before its end.

    `sound`: a session that takes the same samples, for the times of words.
    """
    if isinstance(source, str | Path) and is_feature_file(source):
        source = model.read_frames(source)
    if isinstance(source, Frames):
        yield acoustic.accept_frames(source)
        return
    check_rate(source, sample_rate)
    n_samples = 0
    for block in read_blocks(
        source, sample_rate=model.sample_rate, block_seconds=BLOCK_SECONDS, array_rate=sample_rate
    ):
        n_samples += len(block)
        if sound is not None:
            sound.accept(block)
        yield acoustic.accept(block)
    if not n_samples:
        raise FormatError(f"shorter than one sample at {model.sample_rate} Hz", str(source))


def read_sound(
    model: AcousticModel, source: Source | Frames, sample_rate: int | None = None
) -> np.ndarray | Frames:
    """Read a source whole: samples at the model's rate, or ready-made frames."""
    if isinstance(source, Frames):
        return source
    if isinstance(source, str | Path) and is_feature_file(source):
        return model.read_frames(source)
    check_rate(source, sample_rate)
    return read_audio(source, sample_rate=model.sample_rate, array_rate=sample_rate)[0]


def begun(
    model: AcousticModel, pdfs: np.ndarray, source: Source | Frames, sample_rate: int | None = None
) -> tuple[AcousticSession, Iterator[np.ndarray]]:
    """Return the finished acoustic session of a whole sound, and its scores in blocks."""
    session = model.session(pdfs, whole=True)
    for _ in scores_of(session, model, source, sample_rate):
        pass  # a whole sound has no scores before its end
    return session, session.finish()


def decide(pipeline: Pipeline, found: Found) -> Transcript:
    """What an utterance comes to: speech gate, rejection, second pass, meaning."""
    options, model = pipeline.options, pipeline.model
    seconds, duration = model.frame_seconds, len(found.speech) * model.frame_seconds
    if not found.speech.any():
        none = Rejection("no-speech", NO_SPEECH)
        return Transcript(duration=duration, reason=NO_SPEECH, rejection=none)
    lattice = replace(found.lattice, acoustic_scale=options.acoustic_scale, frame_seconds=seconds)
    if pipeline.hotwords is not None:
        lattice = pipeline.hotwords(lattice)
    path, confidences, strings = lattice.best(), tuple[float, ...](), tuple[TwiceScored, ...]()
    segments, combination = path.segments, None
    if rejected := rejection(path, found.evidence, options.rejection, seconds):
        return Transcript((), duration, reason=str(rejected), lattice=lattice, rejection=rejected)
    if not path.reached_final:  # broken off: dictation loses a word, a command its sense
        segments = () if pipeline.is_grammar else segments[:-1]
    elif pipeline.second_pass:
        combination = _combination(pipeline, found, path)
        with blas_threads(options.threads):
            chosen = pipeline.second_pass(lattice, combination)
        segments, confidences, lattice = chosen.segments, chosen.confidences, chosen.lattice
        strings = chosen.strings
    words, timed_by = words_of(segments, seconds, confidences), ""
    if words and pipeline.timer is not None and found.sound is not None:
        with blas_threads(options.threads):
            laid = combination.paths if combination else None
            retimed = pipeline.timer.retimed(words, found.sound, laid)
        words, timed_by = retimed or words, pipeline.timer.name if retimed else model.name
    readings = lattice
    if is_denial(path, found.evidence):  # what else the lattice has must not be acted on
        readings = Lattice(lattice.n_frames, path, seconds, lattice.reason, lattice.words)
    meant = pipeline.interpret(readings, found.background) if words and pipeline.interpret else None
    share = command_share(path, found.evidence, options.confidence.scale)
    if meant is not None and share < meant.confidence:
        meant = replace(meant, confidence=share)
    return Transcript(
        words, duration, share * math.prod(confidences) if confidences else None, meant,
        "" if words else lattice.reason or NO_SPEECH, lattice, timed_by=timed_by,
        scored_twice=strings,
    )


class Combination:
    """Adds the costs of the model that gives words their times to a lattice, for one sound.

    `paths` are those of the strings that it laid over the sound.
    """

    def __init__(self, timer: WordTimer, sound: AcousticSession, options: CombineOptions):
        self.options = options
        self.paths: dict[tuple[Spoken, ...], BestPath] = {}
        self._timer, self._sound = timer, sound

    def __call__(self, lattice: Lattice) -> tuple[Lattice, tuple[TwiceScored, ...]]:
        """Return what `combined` does."""
        return combined(lattice, self._costs_of, self.options)

    def _costs_of(self, strings: Sequence[Sequence[WordSegment]]) -> Sequence[np.ndarray] | None:
        spoken = [[(each.word, tuple(phone.phone for phone in each.phones)) for each in string]
                  for string in strings]
        found = self._timer.word_costs(spoken, self._sound)
        if found is None:
            return None
        costs, self.paths = found
        return costs


def _combination(pipeline: Pipeline, found: Found, path: BestPath) -> Combination | None:
    """Return what adds the costs of the other model; None where it is off.

    A denied command stays one, and a plain one is not denied by it.
    """
    options, timer, sound = pipeline.options.second_pass.combine, pipeline.timer, found.sound
    if not options.weight or timer is None or sound is None or is_denial(path, found.evidence):
        return None
    denied = found.evidence.denied
    if denied is not None:
        most = max(0.0, denied.cost - path.cost - TIE)
        options = replace(options, beam=min(options.beam, most))
    return Combination(timer, sound, options)
