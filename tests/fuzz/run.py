"""Run many cases of broken input; tell by reader what became of them.

::

    python tests/fuzz/run.py --cases 100000 --seed 1
    python tests/fuzz/run.py --reader ARPA --seed 1 --case 417     # one again, with its traceback

Cases run in a child process that may take 2 GB of memory; each is given 2 seconds of work. What is
neither read nor refused by an error of the library is a failure: another exception, too long, too
much memory, or the end of the process.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from factored_asr.errors import FactoredASRError
from fuzz.mutate import Files
from fuzz.readers import KINDS, Kind, lay, quietly

SECONDS, CLOCK_SECONDS = 2.0, 30.0  # of work in this process; by the clock, which others slow down
BYTES = 2 << 30


class TooSlowError(BaseException):
    """A case took longer than it may."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case."""

    number: int
    verdict: str
    """``read``, ``refused``, or the name of what went wrong."""
    message: str = ""


def case(kind: Kind, good: list[Files], seed: int, number: int) -> dict[str, bytes | None]:
    """The files of a case, the same for the same seed and number."""
    rng = random.Random(f"{seed} {kind.name} {number}")
    if number < len(good):
        return dict(good[number])  # what is not spoilt must be read
    files = kind.spoil(rng.choice(good), rng)
    return kind.mend(files, rng) if kind.mend else files


def outcome(kind: Kind, folder: Path, number: int, is_good: bool) -> Outcome:
    """Read a case that lies in a folder."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_SECONDS)
    try:
        quietly(kind, folder)
        return Outcome(number, "read")
    except FactoredASRError as error:
        return Outcome(number, "GOOD FILE REFUSED" if is_good else "refused", str(error))
    except TooSlowError:
        return Outcome(number, "too slow", _where())
    except (Exception, SystemExit) as error:
        return Outcome(number, type(error).__name__, _where())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _where() -> str:
    """The last place in our own code that a traceback names, and the error."""
    kind, error, trace = sys.exc_info()
    ours = [f for f in traceback.extract_tb(trace) if "factored_asr" in f.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "?"
    return f"{place}: {kind and kind.__name__}: {str(error)[:150]}"


def _too_slow(*_: object) -> None:
    raise TooSlowError


def _work(kind: Kind, good: list[Files], seed: int, numbers: range, pipe: Connection) -> None:
    """The child: tells each case before it begins and after it has ended."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    signal.signal(signal.SIGALRM, _too_slow)
    signal.signal(signal.SIGPROF, _too_slow)
    if not kind.ffmpeg:
        os.environ["PATH"] = ""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries complain there, too
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=base) as place:
        for number in numbers:
            pipe.send(number)
            lay(case(kind, good, seed, number), Path(place) / "case")
            faulthandler.dump_traceback_later(2 * CLOCK_SECONDS, exit=True)  # outside of Python
            found = outcome(kind, Path(place) / "case", number, number < len(good))
            faulthandler.cancel_dump_traceback_later()
            pipe.send(found)


def _warm_up(kind: Kind, good: list[Files]) -> None:
    """Compile kernels and load modules once, here, for all children."""
    with tempfile.TemporaryDirectory() as place:
        for files in good:
            lay(files, Path(place) / "case")
            with contextlib.suppress(FactoredASRError):
                quietly(kind, Path(place) / "case")


def outcomes(kind: Kind, seed: int, n_cases: int) -> Iterator[Outcome]:
    """Run the cases of a reader in child processes, a new one after each that dies."""
    good, first = kind.good(), 0
    _warm_up(kind, good)
    context = get_context("fork")
    while first < n_cases:
        ours, theirs = context.Pipe(duplex=False)
        numbers = range(first, n_cases)
        child = context.Process(target=_work, args=(kind, good, seed, numbers, theirs))
        child.start()
        theirs.close()
        try:
            while first < n_cases:
                ours.recv()
                yield ours.recv()
                first += 1
        except EOFError:
            child.join()
            yield Outcome(first, "CRASH", f"the process ended with {child.exitcode}")
            first += 1
        finally:
            child.join()


def _again(kind: Kind, seed: int, number: int) -> None:
    """One case, here, with its traceback."""
    files = case(kind, kind.good(), seed, number)
    folder = Path(tempfile.mkdtemp()) / "case"
    lay(files, folder)
    print(f"{kind.name}, seed {seed}, case {number} in {folder}")
    quietly(kind, folder)
    print("read")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000, help="in all, shared out among readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="only these (a part of the name)")
    parser.add_argument("--case", type=int, help="only this one, with its traceback")
    options = parser.parse_args()
    chosen = [k for k in KINDS if not options.reader or any(r in k.name for r in options.reader)]
    if options.case is not None:
        _again(chosen[0], options.seed, options.case)
        return 0
    shares = sum(kind.share for kind in chosen)
    total, failed = Counter[str](), 0
    print(f"{'reader':24}{'cases':>8}{'read':>8}{'refused':>9}{'failed':>8}{'seconds':>9}")
    for kind in chosen:
        began, count, failures = time.perf_counter(), Counter[str](), list[Outcome]()
        for found in outcomes(kind, options.seed, round(options.cases * kind.share / shares)):
            good = found.verdict in ("read", "refused")
            count[found.verdict if good else "failed"] += 1
            failures += [] if good else [found]
        total += count
        print(f"{kind.name:24}{count.total():8}{count['read']:8}{count['refused']:9}"
              f"{count['failed']:8}{time.perf_counter() - began:9.1f}", flush=True)
        for message, n in Counter(f"{f.verdict}: {f.message}" for f in failures).most_common(12):
            number = next(f.number for f in failures if f"{f.verdict}: {f.message}" == message)
            print(f"    {n} × {message}\n        --reader {kind.name!r} --seed {options.seed} "
                  f"--case {number}", flush=True)
        failed += len(failures)
    print(f"{'all':24}{total.total():8}{total['read']:8}{total['refused']:9}{total['failed']:8}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
