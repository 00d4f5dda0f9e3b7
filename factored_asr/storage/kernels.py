"""Compile kernels with numba, and keep them in the cache folder of the library.

numba's own choice of a folder fails where neither the installation nor the home can be written, and
then not even the import works. Here a kernel that cannot be kept is compiled for this run alone.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import rtsys

from factored_asr.storage.cache import KERNELS, cache_folder, warn_uncached


def kernel(
    function: Callable | None = None, *, reference_counts: bool = True, fast_math: bool = False
) -> Any:
    """Compile a function with numba when it is first called; a decorator.

    Compiled code is kept in the folder ``kernels`` of `cache_folder`, as that is when the kernel is
    defined. It is compiled again where a line of its file has changed.

    Parameters
    ----------
    reference_counts
        False: the kernel makes no arrays, and does without numba's counting of references.
    fast_math
        True: sums may be computed in another order, several terms at once, and divisions are not
        checked. The last bits then depend on the machine.

    Examples
    --------
    >>> @kernel
    ... def twice(x):
    ...     return 2 * x
    >>> twice(3)
    6
    """
    if function is None:
        return lambda function: kernel(
            function, reference_counts=reference_counts, fast_math=fast_math
        )
    more: dict[str, Any] = {"fastmath": True, "error_model": "numpy"} if fast_math else {}
    compiler: Any = njit
    compiled = compiler(nogil=True, _nrt=reference_counts, **more)(function)
    if hasattr(compiled, "enable_caching") and Path(function.__code__.co_filename).is_file():
        compiled._cache = _Kept(function)  # what enable_caching() sets, with another place
    return compiled


@contextmanager
def foreign_kernels() -> Iterator[None]:
    """Let packages be imported that keep kernels, where numba finds no place for these."""
    of_all: Any = Dispatcher
    enable = of_all.enable_caching

    def enable_if_possible(dispatcher: Any) -> None:
        with suppress(RuntimeError):  # no locator available: compiled in every run
            enable(dispatcher)

    of_all.enable_caching = enable_if_possible
    try:
        yield
    finally:
        of_all.enable_caching = enable


class _Place:
    """Where numba keeps a function, and what tells that its file has changed."""

    def __init__(self, file: str, line: int):
        self._py_file, self._line = file, line

    def ensure_cache_path(self) -> None:
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return _folder(self._py_file)

    def get_source_stamp(self) -> str:
        return _stamp(self._py_file)

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Layout(CompileResultCacheImpl):
    """What numba writes of a function."""

    def __init__(self, function: Callable):
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Place(function.__code__.co_filename, self._lineno)
        abi = getattr(sys, "abiflags", "")
        self._filename_base = self.get_filename_base(f"_kernels.{function.__qualname__}", abi)


class _Kept(FunctionCache):
    """numba's cache of one function; what is damaged or refused costs only the time to compile."""

    _impl_class = _Layout

    def load_overload(self, signature: Any, target: Any) -> Any:
        # numba's own method reads all that a compiler needs first, scipy among it, which takes
        # longer than the rest of a start. Code that is compiled needs the run time alone.
        try:
            rtsys.initialize(target)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(signature, target)
        except Exception:  # whatever unpickling a damaged file raises
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        try:
            super().save_overload(signature, compiled)
        except OSError as error:
            warn_uncached(error)
        except Exception:  # a damaged index: to be written new
            self._save_new(signature, compiled)

    def _save_new(self, signature: Any, compiled: Any) -> None:
        try:
            self.flush()
            super().save_overload(signature, compiled)
        except OSError as error:
            warn_uncached(error)


@cache
def _folder(file: str) -> str:
    """The folder of a file's kernels: its own for each place that the library is installed in."""
    place = hashlib.sha256(str(Path(file).absolute().parent).encode(errors="surrogateescape"))
    name = f"{Path(file).parent.name}-{place.hexdigest()[:16]}"
    return str(cache_folder() / KERNELS / name)


@cache
def _stamp(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
