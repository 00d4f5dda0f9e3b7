"""Run over many sounds: share the work, write the outputs, report progress, handle signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from factored_asr.batch.inputs import STDIN, Input, distinct, find_inputs
from factored_asr.batch.outputs import Resumed, open_folder
from factored_asr.batch.pool import Outcomes, in_processes, in_this_process
from factored_asr.batch.work import BatchOptions, Job, Outcome
from factored_asr.errors import OptionError
from factored_asr.models.grammars import read_understander
from factored_asr.models.recipe import Recipe, cached_graph
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.storage.cache import shared_by_workers

Workers = Callable[[Sequence[Input], Sequence[int]], Outcomes]
"""Transcribes the sounds at these places of a list, in any order."""
Each = Callable[[Input, Outcome], None]


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Examples
    --------
    >>> Progress(n=4, done=1, seconds=30.0, elapsed=2.0).speed
    15.0
    """

    n: int
    """Number of all sounds, finished ones of earlier runs included."""
    done: int = 0
    """Sounds finished, failed ones and those of earlier runs included."""
    failed: int = 0
    """Sounds that failed, in this run and earlier ones."""
    seconds: float = 0.0
    """Seconds of sound finished in this run."""
    seconds_left: float = 0.0
    """Seconds of sound that are left, as far as headers tell."""
    elapsed: float = 0.0
    """Seconds since the work began."""
    resumed: Resumed = Resumed()
    """Outputs of earlier runs."""

    @property
    def speed(self) -> float:
        """Seconds of sound per second; 0 before the first is finished."""
        return self.seconds / self.elapsed if self.elapsed else 0.0


@dataclass(frozen=True)
class Failure:
    """A sound without an output.

    Examples
    --------
    >>> failed = Failure(Input("a.wav", "a"), "a.wav: no such file")
    >>> failed.sound.output, failed.error
    ('a', 'a.wav: no such file')
    """

    sound: Input
    """The sound that failed."""
    error: str
    """Message with the sound and the reason."""


@dataclass(frozen=True)
class BatchReport:
    """The result of a run.

    Examples
    --------
    >>> BatchReport(Progress(n=2, done=2)).failures
    ()
    """

    progress: Progress
    """Progress at the end."""
    failures: tuple[Failure, ...] = ()
    """In the order of the sounds."""
    n_again: int = 0
    """Repetitions of sounds that were given more than once."""


def transcribe_files(
    sources: Sequence[str | Path | Input], recipe: Recipe, options: BatchOptions | None = None, *,
    output_dir: str | Path | None = None, jobs: int = 1, channels: str = "mix",
    resume: bool = False, cluster: str | None = None, each: Each | None = None,
    report: Callable[[Progress], None] | None = None,
    compiling: Callable[[str], None] | None = None,
) -> BatchReport:
    """Transcribe many sounds; a failed one is reported and the others are transcribed.

    Ctrl-C, and SIGTERM if it was not handled before, raise KeyboardInterrupt: workers are ended, no
    output is incomplete, and all that `report` counted is on disk. Two sounds with the same output,
    or options that contradict each other, raise OptionError before any work begins.

    Parameters
    ----------
    sources, channels
        What to transcribe: see `find_inputs`; or the sounds that it returned.
    recipe
        Model, grammar or language model, dictionary; its graph is compiled once and shared.
    options
        What is written of each sound.
    output_dir
        A folder with an output for each sound; None: only `each` gets the outcomes.
    jobs
        Worker processes; 1: none, this process does the work.
    resume
        Leave out what an earlier run into `output_dir` did with the same options and sounds.
    cluster
        Address of the scheduler of a Dask cluster that does the work in place of `jobs`.
    each
        Called with every sound and its outcome: in the order they finish, or without `output_dir`
        in the order of the sounds.
    report, compiling
        Progress callbacks: at the start and after every sound; with each stage of compiling.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> from factored_asr.models.recipe import Recipe
    >>> recipe = Recipe(Bundle.find("en-us"), grammar=Path("lm/smart_home.yaml"))
    >>> run = transcribe_files(
    ...     ["examples/audio/music_*.wav"], recipe,
    ...     each=lambda sound, outcome: print(f"{sound.output}: {outcome.text}"))
    music_bathroom: play some music in the bathroom
    music_stop: stop the music
    >>> run.progress.done, run.failures
    (2, ())
    """
    sounds = [each for each in sources if isinstance(each, Input)]
    names = [each for each in sources if not isinstance(each, Input)]
    if names or not sounds:
        sounds += find_inputs(names, channels=channels)
    _check(sounds, output_dir, jobs, resume, cluster)
    job = Job.of(recipe, options)
    workers: Workers
    if cluster is not None:
        from factored_asr.batch.cluster import in_cluster

        compile_once(recipe, compiling)
        workers = partial(in_cluster, job, address=cluster)
    elif jobs > 1:
        with shared_by_workers():
            compile_once(recipe, compiling)
            workers = partial(in_processes, job, n_workers=jobs)
            return run_batch(sounds, workers, job, output_dir=output_dir, resume=resume, each=each,
                             report=report)
    else:
        recognizer = Recognizer.from_recipe(recipe, compiling)
        workers = partial(in_this_process, lambda sound: recognizer, job.options)
    return run_batch(sounds, workers, job, output_dir=output_dir, resume=resume, each=each,
                     report=report)


def run_batch(
    sounds: Sequence[Input], workers: Workers, job: Job, *, output_dir: str | Path | None = None,
    resume: bool = False, each: Each | None = None,
    report: Callable[[Progress], None] | None = None,
) -> BatchReport:
    """`transcribe_files` with other workers."""
    each, report = each or (lambda sound, outcome: None), report or (lambda progress: None)
    n_again = 0
    if output_dir is not None:
        sounds, n_again = distinct(sounds)
    failures: dict[int, Failure] = {}
    with _sigterm_is_ctrl_c(), ExitStack() as stack:
        folder = None if output_dir is None else stack.enter_context(
            open_folder(output_dir, job.options.format, job.key, job.facts)
        )
        resumed = folder.resume(tuple(sounds)) if folder and resume else Resumed()
        if folder and not resume:
            folder.begin()
        places = [i for i, sound in enumerate(sounds) if sound.output not in resumed.done]
        left = sum(sounds[place].seconds for place in places)
        began = time.monotonic()
        n_done = len(sounds) - len(places)
        now = Progress(len(sounds), n_done, seconds_left=left, resumed=resumed)
        report(now)
        if folder:  # the longest first, so that none is left for the end
            places.sort(key=lambda place: -sounds[place].seconds)
        with closing(workers(sounds, places)) as finished:
            for place, outcome in finished if folder else _in_order(finished, places):
                sound = sounds[place]
                if outcome.error:
                    failures[place] = Failure(sound, outcome.error)
                elif folder:
                    folder.put(sound, outcome.text)
                each(sound, outcome)
                now = replace(
                    now, done=now.done + 1, failed=len(failures),
                    seconds=now.seconds + outcome.seconds,
                    seconds_left=max(0.0, now.seconds_left - sound.seconds),
                    elapsed=time.monotonic() - began,
                )
                report(now)
    return BatchReport(now, tuple(failures[place] for place in sorted(failures)), n_again)


def compile_once(recipe: Recipe, compiling: Callable[[str], None] | None = None) -> None:
    """Compile into the cache what every worker would otherwise compile."""
    plain = recipe.plain
    if plain.graph_folder is None:
        cached_graph(plain.key(), plain.about(),
                     lambda: plain.compile(plain.bundle.acoustic_model(), compiling))
    if recipe.grammar:
        recipe.background()
        read_understander(recipe.grammar)


def _check(sounds: Sequence[Input], output_dir: object, jobs: int, resume: bool,
           cluster: str | None) -> None:
    if jobs < 1:
        raise OptionError(f"jobs must be at least 1, got {jobs}")
    if cluster is not None and jobs != 1:
        raise OptionError("jobs and cluster exclude each other")
    if resume and output_dir is None:
        raise OptionError("resume needs the output folder of the earlier run")
    if (jobs > 1 or cluster is not None) and any(sound.name == STDIN for sound in sounds):
        raise OptionError("the sound on standard input needs this process: jobs must be 1")


def _in_order(finished: Outcomes, places: Sequence[int]) -> Outcomes:
    """Yield outcomes in the order of the sounds."""
    early: dict[int, Outcome] = {}
    for place in places:
        while place not in early:
            early.update([next(finished)])
        yield place, early.pop(place)


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a run as Ctrl-C does."""


@contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM inside the block, unless the program handles that signal."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
