"""Feature files: a corpus may bring static cepstra instead of its sound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.storage.reading import is_file, read_array, read_bytes

Array = NDArray[np.float32]

_PLACE_IN_ARCHIVE = re.compile(r"(.+):(\d+)$")


def is_feature_file(path: str | Path) -> bool:
    """Return whether a name is that of a feature file: ``.mfc``, ``.npy``, ``.ark:OFFSET``.

    >>> [is_feature_file(name) for name in ("a/b.mfc", "raw_mfcc.1.ark:5243", "a/b.wav")]
    [True, True, False]
    """
    return _PLACE_IN_ARCHIVE.match(str(path)) is not None or Path(path).suffix in (".mfc", ".npy")


def feature_file_path(path: str | Path) -> Path:
    """Return the path of the file, without the place in a Kaldi archive."""
    match = _PLACE_IN_ARCHIVE.match(str(path))
    return Path(match[1]) if match else Path(path)


def read_feature_file(path: str | Path, n_cepstra: int) -> Array:
    """Read the static cepstra, not normalised, of a feature file: (n_frames, n_cepstra) of float32.

    Parameters
    ----------
    path
        Sphinx's ``.mfc`` (int32 count of values, then float32, in either byte order), a ``.npy``
        array, or a place in a Kaldi archive (``feats.ark:5243``; needs the package kaldiio).
    n_cepstra
        Values a frame.

    Raises MissingError where the file, or kaldiio, is not there. FormatError for a file that breaks
    its format, and for no frame, another number of values a frame, or one that is not finite.
    """
    file = feature_file_path(path)
    if not is_file(file):
        raise MissingError(f"{file}: there is no such file")
    if Path(path).suffix == ".mfc":
        cepstra = _read_mfc(path, n_cepstra)
    else:
        cepstra = read_array(path) if Path(path).suffix == ".npy" else _read_archive(path)
    if cepstra.dtype.kind not in "fiu":
        raise FormatError("must be one array of real numbers", path)
    if cepstra.ndim != 2 or cepstra.shape[1] != n_cepstra or not len(cepstra):
        law = f"must be (n_frames, {n_cepstra})"
        raise FormatError(f"cepstra have shape {cepstra.shape}, {law}", path)
    if not np.isfinite(cepstra).all():
        frame = int(np.argmin(np.isfinite(cepstra).all(axis=1)))
        raise FormatError(f"frame {frame} holds a value that is not finite", path)
    return np.ascontiguousarray(cepstra, dtype=np.float32)


def _read_mfc(path: str | Path, n_cepstra: int) -> NDArray[Any]:
    data = read_bytes(path)
    for order in (">", "<"):
        if len(data) >= 4 and int(np.frombuffer(data, f"{order}i4", 1)[0]) == len(data) / 4 - 1:
            values = np.frombuffer(data, f"{order}f4", offset=4)
            if len(values) % n_cepstra:
                raise FormatError(f"{len(values)} values are no frames of {n_cepstra}", path)
            return values.reshape(-1, n_cepstra)
    law = "an .mfc file begins with the count of the 32-bit values that follow"
    raise FormatError(f"{len(data)} bytes are not those: {law}", path)


def _read_archive(path: str | Path) -> NDArray[Any]:
    try:
        import kaldiio
    except ImportError:
        raise MissingError(
            f"{path}: Kaldi archives need the package kaldiio: pip install factored-asr[kaldi]"
        ) from None
    if _PLACE_IN_ARCHIVE.match(str(path)) is None:
        raise OptionError(f"{path}: must name .mfc, .npy, or a place in an archive, feats.ark:52")
    try:
        return np.asarray(kaldiio.load_mat(str(path)))
    except Exception as error:  # it answers a damaged archive with whatever it stumbles over
        raise FormatError(f"no matrix of a Kaldi archive: {error!r}", path) from error
