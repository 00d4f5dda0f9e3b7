"""Sound from files, arrays and pipes; and what is no sound."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from factored_asr.audio.reading import Part, as_samples, read_audio, read_blocks
from factored_asr.errors import FormatError, MissingError, OptionError


def tone(rate: int = 16000, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16000, **how: str) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> object:
    """Sets what standard input holds, as a pipe that cannot seek."""

    class Pipe(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("a pipe")

        def seekable(self) -> bool:
            return False

    def fill(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(data)))

    return fill


def wav_bytes(samples: np.ndarray, n_data: int | None = None, after: bytes = b"") -> bytes:
    data = (samples * 32767).astype("<i2").tobytes()
    size = len(data) if n_data is None else n_data
    form = struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    return b"RIFF\xff\xff\xff\x7fWAVEfmt " + form + b"data" + struct.pack("<I", size) + data + after


# Sounds


@pytest.mark.parametrize(
    ("suffix", "how", "off"),
    [
        (".wav", {"subtype": "PCM_16"}, 1e-4),
        (".wav", {"subtype": "PCM_24"}, 1e-6),
        (".wav", {"subtype": "FLOAT"}, 0),
        (".wav", {"subtype": "ULAW"}, 0.02),
        (".flac", {}, 1e-4),
        (".ogg", {}, 0.05),
        (".mp3", {}, 0.05),
    ],
)
def test_each_format_gives_the_sound_that_went_in(
    tmp_path: Path, suffix: str, how: dict, off: float
) -> None:
    path = write(tmp_path / f"tone{suffix}", tone(), **how)
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        samples, rate = read_audio(source)
        assert (samples.dtype, rate) == (np.float32, 16000)
        np.testing.assert_allclose(samples[100:7900], tone()[100:7900], atol=off)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_becomes_the_one_asked_for(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "tone.wav", tone(rate), rate)
    samples, new_rate = read_audio(path, sample_rate=16000)
    assert new_rate == 16000 and abs(len(samples) - 8000) <= 1
    np.testing.assert_allclose(samples[500:7500], tone()[500:7500], atol=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(), 0.5 * tone()], axis=1)
    path = write(tmp_path / "both.wav", both, subtype="FLOAT")
    samples, _ = read_audio(path)
    np.testing.assert_allclose(samples, 0.75 * tone(), atol=1e-6)


def test_an_array_of_16_bit_samples_is_scaled() -> None:
    samples, rate = read_audio(np.array([0, 16384, -32768], dtype=np.int16), array_rate=8000)
    assert samples.tolist() == [0.0, 0.5, -1.0] and rate == 8000


def test_a_raw_file_holds_16_bit_samples_at_16_khz(tmp_path: Path) -> None:
    path = tmp_path / "tone.raw"
    path.write_bytes((tone() * 32767).astype("<i2").tobytes())
    samples, rate = read_audio(path)
    assert rate == 16000
    np.testing.assert_allclose(samples, tone(), atol=1e-4)


def test_a_file_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    long = np.tile(tone(), 20)
    samples, _ = read_audio(write(tmp_path / "long.flac", long))
    np.testing.assert_allclose(samples, long, atol=1e-4)


# Standard input


def test_a_microphone_may_be_piped_in_as_raw_samples(stdin) -> None:
    stdin((tone(8000) * 32767).astype("<i2").tobytes())
    samples, rate = read_audio("-", array_rate=8000)
    assert rate == 8000
    np.testing.assert_allclose(samples, tone(8000), atol=1e-4)
    stdin((tone() * 32767).astype("<i2").tobytes())
    with pytest.raises(FormatError, match=r"<stdin>: begins with .*bare samples need their rate"):
        read_audio("-")


@pytest.mark.parametrize(
    ("n_data", "after"),
    [(None, b""), (None, b"LIST\x04\x00\x00\x00INFO"), (0x7FFFFFFF, b""), (0, b"")],
    ids=["plain", "with a chunk after the samples", "length not known", "length not filled in"],
)
def test_a_wav_may_be_piped_in(stdin, n_data: int | None, after: bytes) -> None:
    stdin(wav_bytes(tone(), n_data, after))
    samples, rate = read_audio("-", sample_rate=16000)
    assert rate == 16000
    np.testing.assert_allclose(samples, tone(), atol=1e-4)


@pytest.mark.parametrize("kind", ["flac", "ogg", "wav"])
def test_other_formats_may_be_piped_in(stdin, tmp_path: Path, kind: str) -> None:
    stereo = np.stack([tone(), tone()], axis=1)
    how = {"subtype": "PCM_24"} if kind == "wav" else {}
    stdin(write(tmp_path / f"tone.{kind}", stereo, **how).read_bytes())
    samples, _ = read_audio("-")
    np.testing.assert_allclose(samples[100:7900], tone()[100:7900], atol=0.05)


def test_blocks_come_before_the_pipe_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def read(self, n_bytes: int) -> bytes:
            return bytes(n_bytes)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Endless()))
    blocks = read_blocks("-", sample_rate=16000, block_seconds=0.1, array_rate=16000)
    assert [len(next(blocks)) for _ in range(3)] == [1600, 1600, 1600]


# Blocks


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("seconds", [0.013, 0.1, 3.0])
def test_blocks_together_are_the_whole(tmp_path: Path, rate: int, seconds: float) -> None:
    path = write(tmp_path / "tone.wav", tone(rate), rate)
    whole, _ = read_audio(path, sample_rate=16000)
    blocks = list(read_blocks(path, sample_rate=16000, block_seconds=seconds))
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_blocks_of_an_array() -> None:
    blocks = list(read_blocks(tone(), array_rate=16000, block_seconds=0.2))
    assert [len(block) for block in blocks] == [3200, 3200, 1600]
    np.testing.assert_array_equal(np.concatenate(blocks), tone())


# No sounds


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"gone\.wav: there is no such file"):
        read_audio(tmp_path / "gone.wav")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(FormatError, match=r"empty\.wav: an empty file"):
        read_audio(tmp_path / "empty.wav")


@pytest.mark.parametrize("suffix", [".wav", ".raw"])
def test_a_file_without_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"none{suffix}"
    if suffix == ".raw":
        path.touch()
    else:
        write(path, np.zeros(0, np.float32))
    with pytest.raises(FormatError, match="holds no samples"):
        read_audio(path)
    with pytest.raises(FormatError, match="holds no samples"):
        list(read_blocks(path))


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.flac", "text.txt", "text"])
def test_a_file_that_is_no_audio(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Not a sound.")
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(FormatError, match="is a text, and no sound .begins with b'Not a sound"):
            read_audio(source)


def test_a_folder_is_no_audio(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_audio(tmp_path)


@pytest.mark.parametrize("how", [{"subtype": "PCM_16"}, {"subtype": "FLOAT"}, {"subtype": "ULAW"}])
def test_a_truncated_wav(tmp_path: Path, how: dict) -> None:
    path = write(tmp_path / "cut.wav", tone(), **how)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"cut\.wav: truncated: the header promises \d+ bytes"):
        read_audio(path)
    path.write_bytes(whole[:30])
    with pytest.raises(FormatError, match="truncated: a wav file without a data chunk"):
        read_audio(path)


def test_a_truncated_flac(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 40000)
    path = write(tmp_path / "cut.flac", noise)
    path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(FormatError, match=r"cut\.flac: truncated"):
        read_audio(path)


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "liar.flac", tone())
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the 36 bits of the number of samples: 2^36 - 1
    data[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="truncated"):
        read_audio(path)


def test_a_truncated_pipe(stdin) -> None:
    stdin(wav_bytes(tone())[:-5000])
    with pytest.raises(FormatError, match="<stdin>: truncated: the header promises 16000 bytes"):
        list(read_blocks("-"))
    stdin(b"")
    with pytest.raises(FormatError, match="<stdin>: an empty file"):
        read_audio("-")
    with pytest.raises(FormatError, match="<stdin>: holds no samples"):
        read_audio("-", array_rate=16000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_named(tmp_path: Path, value: float) -> None:
    samples = np.tile(tone(), 20)
    samples[70000] = value
    path = write(tmp_path / "broken.wav", samples, subtype="FLOAT")
    with pytest.raises(FormatError, match=rf"broken\.wav: sample 70000 is {value}, must be finite"):
        read_audio(path)
    with pytest.raises(FormatError, match=f"<array>: sample 70000 is {value}"):
        read_audio(samples, array_rate=16000)


def test_floats_on_a_16_bit_scale_are_refused() -> None:
    with pytest.raises(FormatError, match=r"float is 9830.*, must lie within \[-1, 1\]"):
        as_samples(tone() * 32768)


def test_arguments_outside_their_law(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.wav", tone())
    with pytest.raises(OptionError, match="needs its rate, such as array_rate=16000"):
        read_audio(tone())
    with pytest.raises(OptionError, match="goes with an array, or with bare samples; the file"):
        read_audio(path, array_rate=16000)
    for rate in (16, -8000, 0, "16000", 10**9):
        with pytest.raises(OptionError, match=f"array_rate is {rate!r}, must be 1000 to 10000000"):
            read_audio(tone(), array_rate=rate)
    with pytest.raises(OptionError, match="sample_rate is 0"):
        read_audio(path, sample_rate=0)
    with pytest.raises(OptionError, match="block_seconds is 0"):
        read_blocks(path, block_seconds=0)
    with pytest.raises(OptionError, match=r"shape \(2, 3, 4\)"):
        as_samples(np.zeros((2, 3, 4)))
    with pytest.raises(OptionError, match="type int64"):
        as_samples(np.zeros(3, dtype=np.int64))
    with pytest.raises(OptionError, match="binary mode"):
        read_audio(io.StringIO("text"))


# --- parts of a sound ------------------------------------------------------------------------


def ramps(folder: Path, end: str = "wav") -> Path:
    """Two channels of a second each: one rises, one falls."""
    rise = np.arange(8000, dtype=np.float32) / 16000
    soundfile.write(folder / f"ramps.{end}", np.stack([rise, -rise], axis=1), 8000, format=end)
    return folder / f"ramps.{end}"


@pytest.mark.parametrize("end", ["wav", "flac"])
def test_a_part_is_read_as_the_whole_has_it(tmp_path: Path, end: str) -> None:
    whole, _ = soundfile.read(ramps(tmp_path, end), dtype="float32")
    quiet = {"notice": lambda text: None}  # the two are in antiphase
    for part, expected in (
        (Part(1), whole[:, 0]), (Part(2), whole[:, 1]), (Part(2, 0.25, 0.5), whole[2000:4000, 1]),
        (Part(None, 0.9, 7.0), whole[7200:].mean(axis=1)), (Part(1, 0.5), whole[4000:, 0]),
    ):
        blocks = list(read_blocks(tmp_path / f"ramps.{end}", part=part, **quiet))
        np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_a_part_of_bare_samples_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(np.arange(16000, dtype="<i2").tobytes())
    [block] = read_blocks(tmp_path / "a.raw", part=Part(1, 0.5, 0.55))
    np.testing.assert_array_equal(block * 32768, np.arange(8000, 8800))


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    for part, law in (
        (Part(3), "has 2 channels, channel 3 is asked for"), (Part(1, 2.0), "has nothing at 2.0"),
    ):
        with pytest.raises(FormatError, match=law):
            list(read_blocks(ramps(tmp_path), part=part))
    for wrong in ({"channel": 0}, {"start": -1.0}, {"start": 2.0, "end": 1.0}):
        with pytest.raises(OptionError, match="must be at least 1|is no stretch"):
            Part(**wrong)
