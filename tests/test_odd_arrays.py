"""Samples in memory as users have them: of many types and shapes, or clearly refused."""

from __future__ import annotations

import os
from array import array
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import soundfile

from factored_asr.audio.microphone import Resampler
from factored_asr.audio.reading import as_samples, check_rate, read_audio
from factored_asr.batch import find_inputs
from factored_asr.errors import FactoredASRError, OptionError

RATE = 16000
SHORT = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype(np.float32)
WHOLE = (SHORT * 32767).astype(np.int16)


class Foreign:
    """An array of another package."""

    def __init__(self, found: np.ndarray | Exception):
        self._found = found

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@pytest.mark.parametrize(
    "samples",
    [SHORT, SHORT.astype(np.float64), SHORT.astype(">f4"), SHORT.astype(np.longdouble),
     WHOLE, WHOLE.astype(">i2"), SHORT.tolist(), tuple(SHORT.tolist()), list(SHORT),
     array("f", SHORT.tolist()), array("d", SHORT.tolist()), array("h", WHOLE.tolist()),
     memoryview(SHORT), memoryview(WHOLE), memoryview(WHOLE.tobytes()), bytearray(WHOLE.tobytes()),
     Foreign(SHORT), SHORT[None], SHORT[:, None], np.stack([SHORT] * 2), [SHORT, SHORT],
     np.repeat(SHORT, 2)[::2], SHORT[::-1][::-1], np.ma.masked_array(SHORT)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_arrays_of_many_types_are_read(samples: Any) -> None:
    np.testing.assert_allclose(as_samples(samples), SHORT, atol=1e-4)
    if not isinstance(samples, bytes | bytearray) and not (
        isinstance(samples, memoryview) and samples.format == "B"
    ):
        found, _ = read_audio(samples, array_rate=RATE)
        np.testing.assert_allclose(found, SHORT, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "law"),
    [([[0.1, 0.2], [0.1]], "its parts are of different lengths: join pieces by np.concatenate"),
     ([SHORT, SHORT[1:]], "its parts are of different lengths"),
     ((SHORT, 16000), "samples and their rate in one: give .* their rate as sample_rate"),
     ((16000, WHOLE), "samples and their rate in one"),
     (Foreign(RuntimeError("requires grad")), "this Foreign is no array of samples: requires grad"),
     (Foreign(TypeError("on cuda:0")), "this Foreign is no array of samples: on cuda:0"),
     (np.ma.masked_array(SHORT, SHORT > 0), "some samples are masked: fill them first"),
     (np.float32(1), "samples have shape"), ([], "holds no samples"),
     (np.array(["a.wav"]), "must be float in"), (array("B", [1, 2]), "must be float in"),
     (SHORT > 0, "must be float in"), (np.zeros(3, "M8[s]"), "must be float in"),
     (WHOLE.tolist(), "are of type int64, must be float in .* or int16: scale them first"),
     ({"array": SHORT, "sampling_rate": 16000}, "give its 'array', and its rate as sample_rate"),
     ({1.0}, "got set"), (None, "got NoneType"), (5, "got int"),
     (range(9), "got range"), ((x for x in SHORT), "got generator")],
    ids=[f"{n}" for n in range(20)],
)  # fmt: skip
def test_what_is_no_array_of_samples_is_named(samples: Any, law: str) -> None:
    with pytest.raises(FactoredASRError, match=law):
        read_audio(samples, array_rate=RATE)
    if not isinstance(samples, dict) and law != "holds no samples":
        with pytest.raises(OptionError, match=law):
            as_samples(samples)


def test_names_of_other_types(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SHORT, RATE)
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (entry,) = entries
    for name in (np.str_(tmp_path / "a.wav"), entry, PurePath(tmp_path / "a.wav")):
        assert len(read_audio(name)[0]) == len(SHORT)
    file = (tmp_path / "a.wav").open("rb")
    file.close()
    with pytest.raises(OptionError, match="the name of a list is empty"):
        find_inputs(["@"])
    for wrong, law in (("", "the name of a sound is empty"), (file, "a.wav: this file is closed")):
        with pytest.raises(OptionError, match=law):
            read_audio(wrong)


@pytest.mark.parametrize("rate", [0, -1, True, "16000", float("nan"), 1e9, 16000j, [16000]])
def test_rates_that_are_none(rate: Any) -> None:
    for read in (lambda: read_audio(SHORT, array_rate=rate), lambda: Resampler(rate, 16000),
                 lambda: check_rate(SHORT, rate)):
        with pytest.raises(OptionError, match=r"rate is .*, must be 1000 to 10000000 Hz"):
            read()
