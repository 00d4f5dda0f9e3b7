"""One run of a comparison: every system on every sound, in turn, each answer kept at once."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.audio.mixing import mix
from factored_asr.compare.adapters import SAMPLE_RATE
from factored_asr.compare.material import Item, read_noise
from factored_asr.compare.result import Answer, Comparison, SystemFacts
from factored_asr.compare.systems import SystemSpec
from factored_asr.compare.worker import ONE_THREAD, Ready, serve
from factored_asr.errors import FactoredASRError, FormatError, MissingError, OptionError
from factored_asr.evaluation.normalise import Rules

CLEAN = float("inf")
JOURNAL_VERSION = 1
COMPARED = Rules(case=True, fillers=True, punctuation=True, digits=True)
"""What texts go through unless told otherwise: end-to-end systems write what is said in their own
way."""

Tick = Callable[[int, int], None]
"""Is told how many answers there are, and of how many."""


@dataclass(frozen=True)
class CompareOptions:
    """How systems are compared."""

    grammar: Path | None = None
    """Of commands: for systems that take one, and to read what the others write."""
    noise: Path | None = None
    """A sound that speech is mixed into."""
    snrs: tuple[float, ...] = (CLEAN,)
    """Conditions: signal-to-noise ratios in decibels, infinity for clean sound."""
    rules: Rules = field(default_factory=lambda: COMPARED)
    """Texts go through before they are compared, or read by the grammar's rules."""
    latency_files: int = 10
    """Clean sounds that every system is given as from a microphone, the first of all."""
    journal: Path | None = None
    """Keeps every answer as it comes, and what it has is not asked again."""
    seed: int = 0
    """Of the bootstrap."""


def compare(
    items: Sequence[Item], systems: Sequence[SystemSpec], options: CompareOptions | None = None,
    tick: Tick | None = None,
) -> Comparison:
    """Give all sounds to all systems.

    Each system has a process of its own, kept to one thread and one core, and all take turns, sound
    by sound, so that they meet the same machine. Before the first sound counts, a system hears it
    once unmeasured. A system that fails on a sound, or dies, has heard nothing there; failures are
    counted.

    Raises
    ------
    OptionError
        Two systems of one name, no sounds, or a journal of another comparison.
    MissingError
        A system, or what it needs, is not there.
    """
    options = options or CompareOptions()
    names = [spec.name for spec in systems]
    if options.grammar and not options.grammar.is_file():
        raise MissingError(f"{options.grammar}: there is no such grammar")
    if not items or not systems or len(set(names)) < len(names):
        raise OptionError(f"there must be sounds, and systems of different names; got {names}")
    with Journal.open(options) as journal, ExitStack() as stack:
        runners = [stack.enter_context(running(Runner(spec, options.grammar))) for spec in systems]
        _hear_all(items, runners, options, journal, tick)
        for runner in runners:
            _ask_facts(runner, items[: options.latency_files], journal)
        return Comparison.of(
            items, systems, options.snrs, journal.answers, journal.facts, options.rules,
            options.grammar, options.seed,
        )


def _hear_all(
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
                journal.add(runner.hear(item.name, snr, sound))
            done += len(runners)
            if tick:
                tick(done, of)


def _sound(item: Item, snr: float, noise: np.ndarray | None) -> np.ndarray | str:
    """Samples, or why there are none."""
    try:
        speech = item.samples()
        return speech if snr == CLEAN or noise is None else mix(speech, noise, snr, item.name)
    except FactoredASRError as error:
        return str(error)


def _ask_facts(runner: Runner, items: Sequence[Item], journal: Journal) -> None:
    """Latency and memory, of a system that was at work or has not told them."""
    if runner.spec.name in journal.facts and not runner.is_open:
        return
    sounds = [sound for item in items if not isinstance(sound := _sound(item, CLEAN, None), str)]
    if not runner.is_open and sounds:
        runner.ask("hear", sounds[0])
    peak = runner.ask("memory", np.empty(0, np.float32))  # before streams add theirs
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
    """A system in its own process, started when first asked and again if it dies."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        self.spec, self._grammar = spec, grammar
        self._process: Any = None
        self._connection: Any = None

    @property
    def is_open(self) -> bool:
        """True once it was asked something."""
        return self._process is not None

    @cached_property
    def ready(self) -> Ready:
        """What the system told when it was loaded; this loads it."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, self.spec, self._grammar), daemon=True
        )
        with _environment(ONE_THREAD):
            self._process.start()
        theirs.close()
        try:
            ready = self._connection.recv()
        except EOFError:
            raise OptionError(f"{self.spec.name}: ended while it was loaded") from None
        if isinstance(ready, Exception):
            raise ready
        return ready

    def ask(self, kind: str, samples: np.ndarray) -> Any:
        """Send a request and wait; ``{"error": ...}`` if the process dies over it."""
        _ = self.ready
        try:
            self._connection.send((kind, samples))
            return self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            self.close()
            return {"error": f"the process ended with {code}"}

    def hear(self, name: str, snr: float, sound: np.ndarray | str | None) -> Answer:
        """The answer to a sound; the first one is heard unmeasured before."""
        if not isinstance(sound, np.ndarray):
            return Answer(self.spec.name, name, snr, error=sound or "no sound")
        if not self.is_open:
            self.ask("hear", sound)
        found = self.ask("hear", sound)
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


@contextmanager
def running(runner: Runner) -> Iterator[Runner]:
    """A runner that is ended in any case."""
    try:
        yield runner
    finally:
        runner.close()


class Journal:
    """Answers and facts, a JSON line each, appended and flushed as they come."""

    def __init__(self, path: Path | None) -> None:
        self.answers: dict[tuple[str, float, str], Answer] = {}
        self.facts: dict[str, SystemFacts] = {}
        self._path = path
        self._file: Any = None

    @staticmethod
    @contextmanager
    def open(options: CompareOptions) -> Iterator[Journal]:
        """Read what a journal has, and go on with it."""
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
        """Keep an answer, or a system's facts."""
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
        whole = content[: content.rfind(b"\n") + 1]  # a line that was broken off is asked again
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


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
