"""Progress of a run over many sounds on standard error: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from factored_asr.cli.shared import say

if TYPE_CHECKING:
    from factored_asr.batch import BatchReport, Progress

LINE_SECONDS = 10.0  # between lines where there is no terminal
TERMINATED = 143  # as in shells: 128 + the signal's number
INTERRUPTED = 130
MAX_NAMED = 30  # failures in the summary


class Shown:
    """Progress callback that prints lines; it keeps the last progress for the end."""

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._last: Progress | None = None
        self._printed = 0.0  # elapsed seconds at the last line

    def __call__(self, progress: Progress) -> None:
        if self._last is None:
            self._say_resumed(progress)
        self._last = progress
        if not self._quiet:
            self.show(progress)

    def show(self, progress: Progress) -> None:
        """Print a line every ten seconds."""
        if progress.elapsed - self._printed >= LINE_SECONDS:
            self._printed = progress.elapsed
            say(describe(progress))

    def say_stopped(self, stopped: KeyboardInterrupt, kept: bool) -> int:
        """Print how far an interrupted run came; return the exit code."""
        terminated = type(stopped).__name__ == "Terminated"
        done, n = (self._last.done, self._last.n) if self._last else (0, 0)
        if n > 1 or kept:
            more = "; the same command with --resume does the rest" if kept else ""
            say(f"stopped: {done} of {n} sounds are done{more}")
        return TERMINATED if terminated else INTERRUPTED

    def _say_resumed(self, progress: Progress) -> None:
        resumed = progress.resumed
        if resumed.done and not self._quiet:
            say(f"{len(resumed.done)} of {progress.n} sounds are done already")
        if resumed.n_outdated:
            names = ", ".join(resumed.options) or "some"
            say(f"options have changed ({names}): {resumed.n_outdated} outputs are remade")
        for name in resumed.changed:
            say(f"{name}: has changed since it was done, is done again")


class _Bar(Shown):
    """Shows progress as a bar of `rich`."""

    def __init__(self, stack: ExitStack):
        super().__init__(quiet=False)
        self._stack = stack
        self._bar: Any = None
        self._task: Any = None

    def show(self, progress: Progress) -> None:
        """Move the bar, by seconds of sound if headers tell them, else by sounds."""
        if self._bar is None:
            self._open()
        left, done = progress.seconds_left, progress.seconds
        known = left + done > 0
        self._bar.update(
            self._task, completed=done if known else progress.done,
            total=left + done if known else progress.n, told=describe(progress),
        )

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        told = TextColumn("{task.percentage:>3.0f} %, {task.fields[told]}")
        self._bar = self._stack.enter_context(
            RichProgress(BarColumn(), told, console=Console(stderr=True), transient=True,
                         redirect_stdout=False)
        )
        self._task = self._bar.add_task("transcribing", total=None, told="")


def show_progress(stack: ExitStack, quiet: bool, into_files: bool) -> Shown:
    """Return the progress callback: a bar, which ends with the stack, unless texts go to the same
    terminal; else lines."""
    if quiet or not sys.stderr.isatty():
        return Shown(quiet)
    if into_files or not sys.stdout.isatty():
        return _Bar(stack)
    return Shown(quiet=True)  # the texts show it


def describe(progress: Progress) -> str:
    """Return sounds, hours, speed, time left and failures as a line."""
    parts = [f"{progress.done} of {progress.n} sounds", f"{_hours(progress.seconds)} of audio"]
    if progress.speed:
        parts.append(f"{progress.speed:.1f} × real time")
        if progress.seconds_left and progress.done < progress.n:
            parts.append(f"{_clock(progress.seconds_left / progress.speed)} left")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)


def say_end(report: BatchReport, quiet: bool, into_files: bool) -> int:
    """Print the summary of a run; return the exit code.

    For a run into files it repeats the names of the failures, as their messages are far up.
    """
    progress, failures = report.progress, report.failures
    if report.n_again and not quiet:
        say(f"{report.n_again} sounds were given more than once, and done once")
    if progress.n > 1 and not quiet:
        say(f"{describe(progress)}, in {_clock(progress.elapsed)}")
    if failures and progress.n > 1:
        names = [failure.sound.label for failure in failures[:MAX_NAMED]]
        more = [f"and {len(failures) - MAX_NAMED} more"] if len(failures) > MAX_NAMED else []
        named = ": " + ", ".join([*names, *more]) if into_files else ""
        say(f"{len(failures)} of {progress.n} inputs failed{named}")
    return 1 if failures else 0


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds:.0f} s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
