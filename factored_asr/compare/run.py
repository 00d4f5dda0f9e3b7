"""Run a comparison: every system on every sound, in turn; each answer is kept at once."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
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


def compare(
    items: Sequence[Item], systems: Sequence[SystemSpec], options: CompareOptions | None = None,
    tick: Tick | None = None,
) -> Comparison:
    """Transcribe all sounds with all systems.

    Each system runs in a process of its own with one thread and one core. Systems take turns, sound
    by sound, so that they share the state of the machine. The first sound is transcribed once
    before it is measured. If a system fails on a sound, or dies, its text is empty and the failure
    is counted.

    Raises
    ------
    OptionError
        Two systems of one name, no sounds, or a journal of another comparison.
    MissingError
        A system, or something it needs, is missing.
    """
    options = options or CompareOptions()
    names = [spec.name for spec in systems]
    if options.grammar and not options.grammar.is_file():
        raise MissingError(f"{options.grammar}: there is no such grammar")
    if not items or not systems or len(set(names)) < len(names):
        raise OptionError(f"there must be sounds, and systems of different names; got {names}")
    with Journal.open(options) as journal, ExitStack() as stack:
        runners = [stack.enter_context(closing(Runner(spec, options.grammar))) for spec in systems]
        _transcribe_all(items, runners, options, journal, tick)
        for runner in runners:
            _ask_facts(runner, items[: options.latency_files], journal)
        return Comparison.of(
            items, systems, options.snrs, journal.answers, journal.facts, options.rules,
            options.grammar, options.seed,
        )


def _transcribe_all(
    items: Sequence[Item], runners: Sequence[Runner], options: CompareOptions, journal: Journal,
    tick: Tick | None,
) -> None:
    noise = None if options.noise is None else read_noise(options.noise)
    done, of = 0, len(options.snrs) * len(items) * len(runners)
    for snr in options.snrs:
        for turn, item in enumerate(items):
            order = [*runners[turn % len(runners) :], *runners[: turn % len(runners)]]
            lacking = [r for r in order if (r.spec.name, snr, item.name) not in journal.answers]
            sound = _sound(item, snr, noise) if lacking else None
            for runner in lacking:
                journal.add(runner.transcribe(item.name, snr, sound))
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


def _ask_facts(runner: Runner, items: Sequence[Item], journal: Journal) -> None:
    """Measure latency and memory of a system, unless the journal has them and it did not run."""
    if runner.spec.name in journal.facts and not runner.is_open:
        return
    sounds = [sound for item in items if not isinstance(sound := _sound(item, CLEAN, None), str)]
    if not runner.is_open and sounds:
        runner.ask("transcribe", sounds[0])
    peak = runner.ask("memory", np.empty(0, np.float32))  # before streams use more
    latencies = [
        each for sound in sounds if "error" not in (each := runner.ask("latency", sound))
    ]
    before = journal.facts.get(runner.spec.name)
    journal.add(SystemFacts(
        runner.spec.name, runner.ready.load_seconds, runner.ready.model_bytes,
        max(peak if isinstance(peak, int) else 0, before.peak_bytes if before else 0),
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
        self._process = context.Process(
            target=serve, args=(theirs, self.spec, self._grammar), daemon=True
        )
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


class Journal:
    """Answers and facts of systems, a JSON line each, flushed as they come."""

    def __init__(self, path: Path | None) -> None:
        self.answers: dict[tuple[str, float, str], Answer] = {}
        self.facts: dict[str, SystemFacts] = {}
        self._path = path
        self._file: Any = None

    @staticmethod
    @contextmanager
    def open(options: CompareOptions) -> Iterator[Journal]:
        """Read a journal and append to it."""
        journal = Journal(options.journal)
        about = {
            "journal": JOURNAL_VERSION, "grammar": _digest(options.grammar),
            "noise": _digest(options.noise),
        }
        if options.journal is not None:
            journal._resume(options.journal, about)
        try:
            yield journal
        finally:
            if journal._file:
                journal._file.close()

    def add(self, entry: Answer | SystemFacts) -> None:
        """Add an answer, or the facts of a system."""
        self._keep(entry)
        if self._file:
            self._file.write(json.dumps(entry.to_dict(), ensure_ascii=False) + "\n")
            self._file.flush()

    def _keep(self, entry: Answer | SystemFacts) -> None:
        if isinstance(entry, Answer):
            self.answers[entry.system, entry.snr, entry.item] = entry
        else:
            self.facts[entry.system] = entry

    def _resume(self, path: Path, about: dict[str, Any]) -> None:
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]  # a truncated line is dropped
        lines = whole.decode("utf-8", "replace").splitlines()
        try:
            for number, line in enumerate(lines, start=1):
                self._take(json.loads(line), number, about)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, FactoredASRError):
                raise
            raise FormatError(f"no journal of a comparison: {error!r}", path, number) from None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if content else "wb")
        except OSError as error:
            raise OptionError(f"{path}: cannot be written: {error.strerror}") from error
        self._file.truncate(len(whole))
        self._file.close()
        self._file = path.open("a", encoding="utf-8")
        if not lines:
            self._file.write(json.dumps(about) + "\n")

    def _take(self, row: dict[str, Any], number: int, about: dict[str, Any]) -> None:
        if number == 1:
            if row != about:
                raise OptionError(
                    f"{self._path}: the journal of another comparison: its grammar or noise differ"
                )
        elif "item" in row:
            self._keep(Answer.from_dict(row))
        else:
            self._keep(SystemFacts.from_dict(row))


def _digest(path: Path | None) -> str | None:
    return None if path is None or not path.is_file() else sha256(path.read_bytes()).hexdigest()
