"""Progress of a run over many sounds on standard error, and its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from factored_asr.cli.shared import Show, say

if TYPE_CHECKING:
    from factored_asr.batch import BatchReport, Progress

TERMINATED = 143  # as in shells: 128 + the signal's number
INTERRUPTED = 130
MAX_NAMED = 30  # failures in the summary


class Shown:
    """Progress callback that calls `show`, unless texts on the same terminal show the progress."""

    def __init__(self, show: Show, quiet: bool, into_files: bool):
        texts_show_it = not into_files and sys.stderr.isatty() and sys.stdout.isatty()
        self._quiet, self._show = quiet or texts_show_it, show
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        if self._last is None:
            self._say_resumed(progress)
        self._last = progress
        if self._quiet:
            return
        left, done = progress.seconds_left, progress.seconds
        if not left + done:  # headers do not tell the seconds
            left, done = progress.n - progress.done, progress.done
        self._show(describe(progress), done, left + done)

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
