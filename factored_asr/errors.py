"""The errors this library raises for input it cannot accept.

Three kinds, each also a builtin, so that ``except ValueError`` goes on working. A message names
the thing, its value and the law it broke; for files it begins with ``path:line:``.
"""

from __future__ import annotations

from pathlib import Path


class FactoredASRError(Exception):
    """Base of all errors raised on purpose by this library."""


class FormatError(FactoredASRError, ValueError):
    """A file, a sound or a text breaks the law of its format.

    Parameters
    ----------
    message
        What was found, and the law it broke.
    path
        The file (or a name for it, such as ``<stdin>``).
    line
        The line, counted from 1, where the format has lines.

    Examples
    --------
    >>> str(FormatError("a word needs at least one phone, got none", "my.dict", 3))
    'my.dict:3: a word needs at least one phone, got none'
    """

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None):
        self.path, self.line = path, line
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + message)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (str(self),)  # survives the way back from a worker process


class OptionError(FactoredASRError, ValueError):
    """An argument or option lies outside what it may be."""


class MissingError(FactoredASRError, LookupError):
    """A word, phone, model, column or optional package that is needed is not there."""


class ModelWarning(UserWarning):
    """Another model is used than the best one, because a package is not installed."""


class CacheWarning(UserWarning):
    """What is compiled cannot be kept for the next run."""


class SoundWarning(UserWarning):
    """A sound is odd, and is read all the same."""
