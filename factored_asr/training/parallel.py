"""The same work on many blocks, in one process or several, with the same result bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeVar

from factored_asr.acoustic.threads import blas_threads

Result = TypeVar("Result")


def over(function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int = 1
         ) -> list[Result]:  # fmt: skip
    """Return ``[function(*task) for task in tasks]``, shared among `jobs` processes by joblib.

    The results come in the order of the tasks. Matrix products run on one thread each, because
    the number of threads decides the order in which their terms are added. joblib's own settings
    hold: under ``joblib.parallel_config(backend="dask")`` a cluster works.

    Examples
    --------
    >>> over(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    from joblib import Parallel, delayed

    if jobs == 1 or len(tasks) < 2:
        return [_single_threaded(function, task) for task in tasks]
    return Parallel(n_jobs=jobs)(delayed(_single_threaded)(function, task) for task in tasks)


def summed(
    function: Callable[..., Result], blocks: Sequence[Any], jobs: int = 1, *arguments: Any
) -> Result:
    """Add up ``function(block, *arguments)`` of all blocks."""
    return added(over(function, [(block, *arguments) for block in blocks], jobs))


def added(parts: Sequence[Result]) -> Result:
    """Add up results in order, so that the last bit is the same for any number of processes."""
    return reduce(add, parts)


def _single_threaded(function: Callable[..., Result], task: tuple[Any, ...]) -> Result:
    with blas_threads():
        return function(*task)
