"""The samples that sessions take."""

from __future__ import annotations

import numpy as np

from factored_asr.errors import FormatError, OptionError


def checked_samples(samples: np.ndarray) -> np.ndarray:
    """Return samples as float32 in [-1, 1]; OptionError or FormatError as of `accept`."""
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype not in (
        np.float32, np.int16
    ):
        raise OptionError("samples must be a flat array of float32 or int16")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    if not np.isfinite(samples).all():
        raise FormatError("a sample is not finite")
    return samples
