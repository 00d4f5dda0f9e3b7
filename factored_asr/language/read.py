"""Language models of any known format, recognised by the first bytes of a file."""

from __future__ import annotations

from pathlib import Path

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.arpa import read_arpa
from factored_asr.language.ngram import NGramModel
from factored_asr.language.packed import ZIP_MAGIC, read_packed
from factored_asr.language.prune import prune_to
from factored_asr.language.sphinx_trie import MAGIC, read_sphinx_lm

KENLM_MAGIC = b"mmap lm http://kheafield.com/code"


def read_lm(path: str | Path, n_ngrams: int = 0) -> NGramModel:
    """Read an n-gram model: a packed one, a Sphinx trie, or ARPA, plain or gzip.

    `n_ngrams`, if above 0, prunes it by entropy to at most so many n-grams: see `prune_to`.
    Raises MissingError if there is no such file, FormatError if it is none of these, or broken.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate, write_arpa
    >>> file = Path(tempfile.mkdtemp()) / "small.arpa.gz"
    >>> write_arpa(estimate([["yes", "please"]]), file)
    >>> read_lm(file).counts, sum(read_lm(file, n_ngrams=7).counts)
    ((5, 3, 2), 5)
    """
    if _begins_with(ZIP_MAGIC, path):
        return read_packed(path, n_ngrams)
    if is_kenlm_binary(path):
        raise FormatError("a binary model of KenLM, whose n-grams cannot be listed: give the ARPA "
                          "file that it was made of (it may rescore: --rescore-lm)", path)
    model = read_sphinx_lm(path) if _begins_with(MAGIC, path) else read_arpa(path)
    return prune_to(model, n_ngrams) if n_ngrams else model


def is_kenlm_binary(path: str | Path) -> bool:
    """Return whether a file is a language model in KenLM's own format.

    Examples
    --------
    >>> is_kenlm_binary("lm/english.lm.zip")
    False
    """
    return _begins_with(KENLM_MAGIC, path)


def _begins_with(magic: bytes, path: str | Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        why = error.strerror or error
        raise MissingError(f"{path}: no language model can be read there: {why}") from error
