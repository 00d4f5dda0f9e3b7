"""Run a comparison: every system on every sound, in turn; each answer is kept at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.audio.mixing import mix
from factored_asr.batch.pool import ONE_THREAD
from factored_asr.compare.adapters import SAMPLE_RATE
from factored_asr.compare.material import Item, read_noise
from factored_asr.compare.result import Answer, Comparison, SystemFacts
from factored_asr.compare.systems import SystemSpec
from factored_asr.compare.worker import Ready, serve
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.evaluation.normalise import Rules
from factored_asr.storage.journal import Journal

CLEAN = float("inf")
JOURNAL_VERSION = 1
COMPARED = Rules(case=True, fillers=True, punctuation=True, digits=True)
"""Default rules: end-to-end systems write punctuation, numbers and case in their own way."""

Tick = Callable[[int, int], None]
"""Progress callback: the number of answers so far, and of all."""


@dataclass(frozen=True)
class CompareOptions:
    """How systems are compared."""

    grammar: Path | None = None
    """Grammar of commands: for systems that take one, and to read the texts of the others."""
    noise: Path | None = None
    """A sound to mix the speech with."""
    snrs: tuple[float, ...] = (CLEAN,)
    """Conditions: signal-to-noise ratios in decibels, infinity for clean sound."""
    rules: Rules = field(default_factory=lambda: COMPARED)
    """Rules for texts before they are compared, or read by the grammar."""
    latency_files: int = 10
    """Number of clean sounds, the first ones, that are streamed to measure latency."""
    journal: Path | None = None
    """File that keeps every answer; the answers it holds are not computed a second time."""
    seed: int = 0
    """Of the bootstrap."""


def compare(items: Sequence[Item], systems: Sequence[SystemSpec],
            options: CompareOptions | None = None, tick: Tick | None = None) -> Comparison:
    """Transcribe all sounds with all systems, each in a process of its own, in turn.

    Systems take turns, sound by sound, so that they share the state of the machine; each has one
    thread and one core. If a system fails on a sound, or dies, its text is empty and the failure is
    counted. Two systems of one name, no sounds, or the journal of another comparison raise
    OptionError; a system or something it needs that is missing, MissingError.
    """
    options = options or CompareOptions()
    names = [spec.name for spec in systems]
    if options.grammar and not options.grammar.is_file():
        raise MissingError(f"{options.grammar}: there is no such grammar")
    if not items or not systems or len(set(names)) < len(names):
        raise OptionError(f"there must be sounds, and systems of different names; got {names}")
    with ExitStack() as stack:
        journal = Journal(options.journal) if options.journal else None
        kept = Kept(options, journal and stack.enter_context(closing(journal)))
        runners = [stack.enter_context(closing(Runner(spec, options.grammar))) for spec in systems]
        _transcribe_all(items, runners, options, kept, tick)
        for runner in runners:
            _ask_facts(runner, items[: options.latency_files], kept)
        return Comparison.of(items, systems, options.snrs, kept.answers, kept.facts,
                             options.rules, options.grammar, options.seed)


def _transcribe_all(items: Sequence[Item], runners: Sequence[Runner], options: CompareOptions,
                    kept: Kept, tick: Tick | None) -> None:
    noise = None if options.noise is None else read_noise(options.noise)
    done, of = 0, len(options.snrs) * len(items) * len(runners)
    for snr, (turn, item) in product(options.snrs, enumerate(items)):
        order = [*runners[turn % len(runners) :], *runners[: turn % len(runners)]]
        lacking = [r for r in order if (r.spec.name, snr, item.name) not in kept.answers]
        sound = _sound(item, snr, noise) if lacking else None
        for runner in lacking:
            kept.add(runner.transcribe(item.name, snr, sound))
        done += len(runners)
        if tick:
            tick(done, of)


def _sound(item: Item, snr: float, noise: np.ndarray | None) -> np.ndarray | str:
    """Return the samples, or the reason why there are none."""
    try:
        speech = item.samples()
        return speech if snr == CLEAN or noise is None else mix(speech, noise, snr, item.name)
    except FactoredASRError as error:
        return str(error)


def _ask_facts(runner: Runner, items: Sequence[Item], kept: Kept) -> None:
    """Measure latency and memory of a system, unless they are kept and it did not run."""
    name = runner.spec.name
    if name in kept.facts and not runner.is_open:
        return
    sounds = [sound for item in items if not isinstance(sound := _sound(item, CLEAN, None), str)]
    if not runner.is_open and sounds:
        runner.ask("transcribe", sounds[0])
    peak = runner.ask("memory", np.empty(0, np.float32))  # before streams use more
    latencies = [each for sound in sounds if "error" not in (each := runner.ask("latency", sound))]
    before = kept.facts[name].peak_bytes if name in kept.facts else 0
    kept.add(SystemFacts(
        name, runner.ready.load_seconds, runner.ready.model_bytes,
        max(peak if isinstance(peak, int) else 0, before),
        tuple(each["first"] for each in latencies), tuple(each["answer"] for each in latencies),
    ))


class Runner:
    """A system in its own process, which is started by the first request and after it has died."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        self.spec, self._grammar = spec, grammar
        self._process: Any = None
        self._connection: Any = None

    @property
    def is_open(self) -> bool:
        """True after the first request."""
        return self._process is not None

    @cached_property
    def ready(self) -> Ready:
        """Load the system; its first message."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self.spec, self._grammar)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        before = dict(os.environ)
        os.environ.update(ONE_THREAD)
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()
        try:
            ready = self._connection.recv()
        except EOFError:
            raise OptionError(f"{self.spec.name}: ended while it was loaded") from None
        if isinstance(ready, Exception):
            raise ready
        return ready

    def ask(self, kind: str, samples: np.ndarray) -> Any:
        """Send a request and return the answer; ``{"error": ...}`` if the process dies."""
        _ = self.ready
        try:
            self._connection.send((kind, samples))
            return self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            self.close()
            return {"error": f"the process ended with {code}"}

    def transcribe(self, name: str, snr: float, sound: np.ndarray | str | None) -> Answer:
        """Return the answer to a sound; the first sound is transcribed once unmeasured before."""
        if not isinstance(sound, np.ndarray):
            return Answer(self.spec.name, name, snr, error=sound or "no sound")
        if not self.is_open:
            self.ask("transcribe", sound)
        found = self.ask("transcribe", sound)
        return Answer(self.spec.name, name, snr, duration=len(sound) / SAMPLE_RATE, **found)

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process = self._connection = None
        self.__dict__.pop("ready", None)


class Kept:
    """Answers and facts of systems; the journal, if there is one, keeps them for the next run."""

    def __init__(self, options: CompareOptions, journal: Journal | None):
        self.answers: dict[tuple[str, float, str], Answer] = {}
        self.facts: dict[str, SystemFacts] = {}
        self._journal: Journal | None = None
        if journal is None:
            return
        about = {"journal": JOURNAL_VERSION, "grammar": _digest(options.grammar),
                 "noise": _digest(options.noise)}
        rows = journal.entries()
        if journal.path.stat().st_size == 0:
            journal.add(about)
        elif rows[:1] != [about]:
            raise OptionError(
                f"{journal.path}: the journal of another comparison: its grammar or noise differ"
            )
        try:
            for row in rows[1:]:
                self.add((Answer if "item" in row else SystemFacts).from_dict(row))
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"no journal of a comparison: {error!r}", journal.path) from None
        self._journal = journal

    def add(self, entry: Answer | SystemFacts) -> None:
        """Add an answer, or the facts of a system."""
        if isinstance(entry, Answer):
            self.answers[entry.system, entry.snr, entry.item] = entry
        else:
            self.facts[entry.system] = entry
        if self._journal:
            self._journal.add(entry.to_dict())


def _digest(path: Path | None) -> str | None:
    return None if path is None or not path.is_file() else sha256(path.read_bytes()).hexdigest()
