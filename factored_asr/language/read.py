"""Read a language model of whatever format, told by the file's content."""

from __future__ import annotations

from pathlib import Path

from factored_asr.errors import MissingError
from factored_asr.language.arpa import read_arpa
from factored_asr.language.ngram import NGramModel
from factored_asr.language.sphinx_trie import MAGIC, read_sphinx_lm


def read_lm(path: str | Path) -> NGramModel:
    """Read an n-gram model: a Sphinx trie by its first bytes, else ARPA, plain or gzip.

    Raises
    ------
    MissingError
        There is no such file.
    FormatError
        The file is neither, or breaks the law of its format.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise MissingError(f"{path}: no language model can be read there: {error}") from error
    return read_sphinx_lm(path) if head == MAGIC else read_arpa(path)
