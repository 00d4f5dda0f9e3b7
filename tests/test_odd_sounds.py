"""Sounds as users really have them: each is right, or refused in one line that says why."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from support.odd_sounds import FFMPEG, TEXT, Odd, by_ffmpeg, encoded, make, others, wav, wavs

from factored_asr.audio import ffmpeg, libsndfile
from factored_asr.audio.ahead import Ahead
from factored_asr.audio.channels import oriented
from factored_asr.audio.ffmpeg import Decoder
from factored_asr.audio.kinds import kind_of
from factored_asr.audio.reading import as_samples, describe, read_audio, read_blocks
from factored_asr.audio.wav import WavReader, read_layout
from factored_asr.batch import BatchOptions, find_inputs
from factored_asr.cli import main
from factored_asr.errors import (
    FactoredASRError,
    FormatError,
    MissingError,
    OptionError,
    SoundWarning,
)

ROOT = Path(__file__).parent.parent
SPEECH, RATE = soundfile.read(ROOT / "examples" / "audio" / "kitchen_light_on.wav", dtype="float32")
HEADERS = wavs(SPEECH[:16000], RATE)
FILES = others(SPEECH[:16000], RATE)
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="needs the program ffmpeg")


class Pipe(io.RawIOBase):
    """Standard input that comes in pieces and cannot seek."""

    def __init__(self, data: bytes, piece: int = 1000):
        self._data, self._piece = io.BytesIO(data), piece

    def readable(self) -> bool:
        return True

    def read(self, n: int = -1) -> bytes:
        return self._data.read(min(n, self._piece) if n >= 0 else self._piece)


def read_as(how: str, data: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
            ) -> tuple[np.ndarray, int, list[str]]:
    """Read a sound as a file, from a pipe, as a file object or as bytes, with its notices."""
    told: list[str] = []
    source: object = path
    bare = path.suffix in (".raw", ".pcm")
    if how == "pipe":
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(data)))
        source = "-"
    elif how == "object":
        source = io.BytesIO(data)
    elif how == "bytes":
        source = data
    else:
        path.write_bytes(data)
    samples, rate = read_audio(source, notice=told.append, array_rate=RATE if bare else None)
    return samples, rate, told


@pytest.mark.parametrize("how", ["path", "pipe", "object", "bytes"])
@pytest.mark.parametrize("name", [*HEADERS, *FILES])
def test_each_sound_is_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    data, odd = HEADERS.get(name) or FILES[name]
    if odd.text is None and odd.says != "*":
        with pytest.raises(FormatError, match=".*") as refused:
            read_as(how, data, tmp_path / name, monkeypatch)
        assert odd.says in str(refused.value) and len(str(refused.value).splitlines()) == 1
        return
    samples, rate, told = read_as(how, data, tmp_path / name, monkeypatch)
    assert abs(len(samples) / rate - 1.0) < 0.1
    if odd.text == TEXT and name != "left_only.wav":
        alike = np.corrcoef(samples[:15000], SPEECH[:15000])[0, 1]
        assert alike > 0.8 or name.endswith((".mp3", "an_mp3.wav"))  # which is delayed
    open_ended = how == "pipe" and name.startswith(("length_zero.wav", "length_zero_", "length_f",
                                                    "length_7", "length_8", "joined"))
    assert bool(told) == (bool(odd.says not in ("", "*")) and not open_ended)
    if told:
        assert odd.says in " ".join(told)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("coding", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE",
                                    "ULAW", "ALAW"])
@pytest.mark.parametrize("end", ["LITTLE", "BIG"])
def test_wav_is_read_as_libsndfile_reads_it(form: str, coding: str, end: str) -> None:
    if end == "BIG" and form != "WAV":
        pytest.skip("there is none")
    sound = np.random.default_rng(0).uniform(-1, 1, (999, 3))
    data = encoded(sound, 22050, form, coding, end)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    ahead = Ahead(io.BytesIO(data), "a.wav")
    layout = read_layout(ahead)
    assert layout is not None
    reader = WavReader(ahead, layout, pytest.fail)
    found = np.concatenate([reader.read(250) for _ in range(5)])
    if found.dtype == np.int16:
        found = found.astype(np.float32) / np.float32(32768)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("how", ["path", "pipe"])
@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_a_wav_cut_anywhere_is_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coding: str, how: str
) -> None:
    whole = encoded(SPEECH[6000:6400], RATE, "WAV", coding)
    for length in [*range(0, 100), *range(100, len(whole), 7), *range(len(whole) - 8, len(whole))]:
        try:
            samples, _, _ = read_as(how, whole[:length], tmp_path / "a.wav", monkeypatch)
            assert 0 < len(samples) <= 1024
        except FormatError as error:
            assert len(str(error).splitlines()) == 1


def test_a_pipe_whose_length_is_open_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        head = wav(b"", promised=0xFFFFFFFF, before=b"LIST\x04\0\0\0INFO", bits=24)

        def read(self, n: int = -1) -> bytes:
            data, self.head = self.head, b""
            return data or bytes(min(n, 999))

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Endless()))
    blocks = read_blocks("-", sample_rate=16000, block_seconds=0.1)
    assert [len(next(blocks)) for _ in range(3)] == [1600, 1600, 1600]


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    data = wav((SPEECH * 32767).astype("<i2").tobytes(), promised=0)
    writer = threading.Thread(target=(tmp_path / "pipe.wav").write_bytes, args=(data,))
    writer.start()
    samples, rate = read_audio(tmp_path / "pipe.wav")
    writer.join()
    assert (len(samples), rate) == (len(SPEECH), RATE)


def test_file_objects_that_are_no_plain_files(tmp_path: Path) -> None:
    import gzip
    import zipfile

    data = HEADERS["length_plus_8.wav"][0]
    (tmp_path / "a.wav.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.wav", data)
    with gzip.open(tmp_path / "a.wav.gz") as one, zipfile.ZipFile(tmp_path / "a.zip") as packed:
        with packed.open("a.wav") as other, open(tmp_path / "a.wav", "w+b") as third:
            third.write(b"some letters" + data)
            third.seek(12)
            for file in (one, other, third):
                told: list[str] = []
                samples, _ = read_audio(file, notice=told.append)
                assert len(samples) == 16000 and len(told) == 1
    for wrong, law in ((io.StringIO("text"), "binary mode"), (3, "a path, a binary file, bytes")):
        with pytest.raises(OptionError, match=law):
            read_audio(wrong)


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FormatError, match="<stdin>: standard input is closed"):
        read_audio("-")


def test_bare_samples_that_look_like_a_frame_of_mp3() -> None:
    """-1 is 0xFFFF: the first bytes of quiet samples are often those of MPEG's frames."""
    rng = np.random.default_rng(0)
    for start in (b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\xff\xff\x18\xc4"):
        quiet = rng.integers(-3, 3, 20000).astype("<i2").tobytes()
        kind = kind_of(start + quiet)
        assert kind is None
        samples, _ = read_audio(io.BytesIO(start + quiet), array_rate=8000)
        assert len(samples) == 20002


@pytest.mark.parametrize("name", ["id3.mp3", "page.wav", "a_wav.mp3", "zip.wav", "a.flac"])
def test_bare_samples_are_asked_for_and_something_else_comes(name: str) -> None:
    data, odd = FILES[name]
    if odd.text is None:
        with pytest.raises(FormatError, match="no sound"):
            read_audio(io.BytesIO(data), array_rate=RATE)
    else:
        samples, rate = read_audio(io.BytesIO(data), array_rate=8000)
        assert rate == RATE and abs(len(samples) - 16000) < 2000


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "lost.wav").symlink_to("nowhere.wav")
    (tmp_path / "circle.wav").symlink_to("circle.wav")
    (tmp_path / "folder").symlink_to(".")
    (tmp_path / "a.wav").write_bytes(wav(bytes(3200)))
    assert len(find_inputs([tmp_path])) == 3
    with pytest.raises(MissingError, match=r"lost\.wav: a symbolic link to nowhere\.wav, which"):
        read_audio(tmp_path / "lost.wav")
    with pytest.raises(FormatError, match=r"circle\.wav: cannot be read: .*symbolic links"):
        read_audio(tmp_path / "circle.wav")
    with pytest.raises(FormatError, match="cannot be read: File name too long"):
        read_audio("x" * 300)
    with pytest.raises(FormatError, match="cannot be read: .*embedded null"):
        read_audio("a\0.wav")


def test_cut_sounds_are_reported_and_decoders_are_quiet(
    capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder of MP3 writes to standard error, also of whole sounds; others still can."""
    data = FILES["a.mp3"][0]
    with pytest.warns(SoundWarning, match=r"the header promises 16000 samples, there are \d+, "):
        read_audio(io.BytesIO(data[: len(data) // 3]))
    assert capfd.readouterr().err == ""
    with pytest.warns(SoundWarning, match="its end is missing"):
        read_audio(io.BytesIO(encoded(np.tile(SPEECH, 4), RATE, "OGG")[:-500]))
    with libsndfile.quiet():
        os.write(2, b"[src/libmpg123/layer3.c:9] error: part2\nof another thread\n")
    assert capfd.readouterr().err == "of another thread\n"


# --- kinds -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "name"),
    [(b"\0\0\0\x20ftypM4A ", "MP4"), (b"\x1a\x45\xdf\xa3\x9fB", "WebM"), (b"#!AMR\n", "AMR"),
     (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"), (b"RIFF\0\0\0\0AVI LIST", "AVI"),
     (b"wvpk", "WavPack"), (b"MThd\0\0\0\6", "notes and no sound"), (b"%PDF-1.4", "PDF"),
     (b"\xff\xfe<\0h\0t\0m\0l\0>\0", "HTML"), (b" \n<html lang=en>", "HTML"),
     (b"<!-- x --><!DOCTYPE HTML>", "HTML"), (b"<svg xmlns='a'>", "XML"), (b"[1, 2]\n", "JSON"),
     (b"#EXTM3U\nhttp://a/b.ts", "playlist"), (b"Access denied", "text"),
     ("Zugriff verweigert: ä".encode("latin-1"), "text"), ("доступ".encode(), "text"),
     (b"x" * 300 + b"\n", "text"), (bytes(257) + b"ustar", "tar"), (b"\x93NUMPY\1\0", "numpy"),
     (b"SQLite format 3\0", "database"), (b"\x06\x0e\x2b\x34", "MXF"), (b"CWS\x09", "Flash"),
     (bytes(4) + b"\xf8\x72\x6f\xba", "TrueHD"), (b"RIFF\0\0\0\0QLCM", "QCP"),
     (b"FORM\0\0\0\0MAUD", "sox converts it"), (b"LM8953\0\0", "sox converts it"),
     (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"PAR1\x15\x04", "Parquet"), (b"MM\0*", "TIFF"),
     (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"), (b"\0\3\xa3\x64", "IRCAM"),
     (b"G" + bytes(187) + b"G" + bytes(100), "transport")],
)  # fmt: skip
def test_what_a_file_seems_to_be_is_named(head: bytes, name: str) -> None:
    kind = kind_of(head)
    assert kind is not None and name in kind.name


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0, 30.0, 300.0, 3000.0, 30000.0])
@pytest.mark.parametrize("width", ["<i2", ">i2", "<f4", "<i4"])
def test_bare_samples_are_no_kind(scale: float, width: str) -> None:
    rng = np.random.default_rng(3)
    n_wrong = 0
    for _ in range(200):
        noise = rng.normal(0, scale, 2048)
        noise = noise / 32768 if width[1] == "f" else np.clip(noise, -32768, 32767)
        kind = kind_of(noise.astype(width).tobytes())
        n_wrong += kind is not None and kind.sure
    assert n_wrong == 0


# --- ffmpeg ------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Odd]]:
    """Files that only ffmpeg reads."""
    return by_ffmpeg(SPEECH[:16000], RATE, tmp_path_factory.mktemp("foreign"))


@needs_ffmpeg
@pytest.mark.parametrize("how", ["path", "pipe", "object"])
def test_ffmpeg_reads_what_libsndfile_cannot(
    foreign: dict[str, tuple[bytes, Odd]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert len(foreign) > 8
    for name, (data, odd) in foreign.items():
        if odd.text is None:
            with pytest.raises(FormatError, match=odd.says):
                read_as(how, data, tmp_path / name, monkeypatch)
        else:
            samples, rate, told = read_as(how, data, tmp_path / name, monkeypatch)
            assert abs(len(samples) / rate - 1.0) < 0.2 and told == [], name
            assert 0.02 < np.abs(samples).max() <= 1.0


def test_without_ffmpeg_it_is_recommended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(FormatError, match=r"is an MP4 or M4A file, which needs the program ffmpeg, "
                                          r"and that is not installed: install it, or convert"):
        read_audio(tmp_path / "a.m4a")


def program(folder: Path, text: str) -> Path:
    """A substitute for ffmpeg."""
    file = folder / "ffmpeg"
    file.write_text(f"#!{sys.executable}\nimport sys, time\n{text}\n")
    file.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("text", "law"),
    [("time.sleep(60)", "ffmpeg gave nothing for 0 s and was ended"),
     ("sys.stderr.write('[mov @ 0x55] moov atom not found\\n'); sys.exit(1)",
      "cannot read it: moov atom not found"),
     ("sys.exit(3)", "cannot read it: exit code 3"), ("", "holds no sound"),
     ("sys.stderr.write('x' * 10**6); sys.exit(1)", "cannot read it: xxx"),
     ("sys.stdout.write('no wav at all' * 99)", "a chunk .* stands before the samples")],
)
@pytest.mark.parametrize("how", ["path", "object"])
def test_an_ffmpeg_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, law: str, how: str
) -> None:
    monkeypatch.setenv("PATH", str(program(tmp_path, text)))
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.3)
    (tmp_path / "a.webm").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(300_000))
    began = time.monotonic()
    with pytest.raises(FormatError, match=law), (tmp_path / "a.webm").open("rb") as file:
        read_audio(tmp_path / "a.webm" if how == "path" else file)
    assert time.monotonic() - began < 20


def test_a_slow_source_is_not_a_stalled_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit does not count while the program waits for what has not come yet."""
    monkeypatch.setenv("PATH", str(program(tmp_path, "sys.stdout.buffer.write(sys.stdin.buffer."
                                                     "read())")))
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.4)
    data = io.BytesIO(wav(bytes(32000)))

    class Slow(io.RawIOBase):
        def read(self, n: int = -1) -> bytes:
            time.sleep(0.25)
            return data.read(8000)

    decoder = Decoder(Ahead(Slow(), "slow"), "matroska", "slow")
    try:
        assert len(Ahead(decoder, "slow").read_all()) == 32044
    finally:
        decoder.close()


@needs_ffmpeg
def test_ffmpeg_opens_nothing_else(tmp_path: Path) -> None:
    """A playlist is no sound, and no name is an option or an address."""
    (tmp_path / "list.m4a").write_text(f"#EXTM3U\nfile://{ROOT}/examples/audio/music_stop.wav\n")
    with pytest.raises(FormatError, match="a playlist"):
        read_audio(tmp_path / "list.m4a")
    sounds = by_ffmpeg(SPEECH[:16000], RATE, tmp_path)
    for name in ("-i.webm", "concat:a|b.webm", "http:x.webm", "caf\udce9.webm", "a 'b' %d.webm"):
        (tmp_path / name).write_bytes(sounds["a.webm"][0])
        samples, _ = read_audio(tmp_path / name)
        assert len(samples) > 15000


# --- channels, arrays --------------------------------------------------------


def test_the_short_axis_of_an_array_is_that_of_the_channels() -> None:
    both = np.stack([SPEECH, 0.5 * SPEECH])
    for array in (both, both.T, both.T.copy()):
        np.testing.assert_allclose(as_samples(array), 0.75 * SPEECH, atol=1e-6)
    for shape, expected in (((1, 900), 900), ((900, 1), 900), ((8, 900), 900), ((900, 8), 900),
                            ((3, 2), 3), ((0, 2), 0), ((1, 1), 1), ((2, 9), 9)):
        assert len(as_samples(np.zeros(shape))) == expected
    for shape in ((9, 900), (900, 9), (2, 3, 900), (1, 1, 900), (), (900, 0)):
        with pytest.raises(OptionError, match=r"samples have shape .*must be \(n_samples,\)"):
            as_samples(np.zeros(shape))
    assert oriented(both).shape == both.T.shape


def test_samples_as_bytes() -> None:
    data = (SPEECH * 32767).astype("<i2").tobytes()
    expected = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    for kind in (bytes, bytearray, memoryview):
        np.testing.assert_array_equal(as_samples(kind(data)), expected)
    with pytest.raises(OptionError, match="3 bytes are no whole number of 16-bit samples"):
        as_samples(b"abc")
    for wrong in (np.zeros(9, np.int64), np.zeros(9, np.uint8), np.zeros(9, complex), ["a"]):
        with pytest.raises(OptionError, match="must be float in .* or int16: scale them first"):
            as_samples(wrong)


@pytest.mark.parametrize("scale", [-1.0, -0.5, -0.2])
def test_channels_in_antiphase_are_reported(tmp_path: Path, scale: float) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.002, (2, len(SPEECH)))
    array = np.stack([SPEECH, scale * SPEECH]) + hiss
    soundfile.write(tmp_path / "a.wav", array.T, RATE)
    with pytest.warns(SoundWarning, match=r"a\.wav: channels 1 and 2 are in antiphase"):
        read_audio(tmp_path / "a.wav")
    with pytest.warns(SoundWarning, match="<array>: channels 1 and 2 are in antiphase"):
        list(read_blocks(array, array_rate=RATE))


def test_other_channels_are_not_reported(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    other = np.roll(SPEECH, 9000)
    for array in (np.stack([SPEECH, other]), np.stack([SPEECH, 0 * SPEECH]),
                  rng.normal(0, 0.1, (2, 9000)), np.stack([SPEECH, np.roll(SPEECH, 3)]),
                  np.zeros((2, 9000))):
        soundfile.write(tmp_path / "a.wav", array.T, RATE)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_audio(tmp_path / "a.wav")


def test_a_sound_is_described_by_its_header(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((800, 2)), 8000)
    about = describe(tmp_path / "a.wav")
    assert (about.rate, about.n_channels, about.n_samples, about.seconds) == (8000, 2, 800, 0.1)
    (tmp_path / "b.wav").write_bytes(HEADERS["length_ffffffff.wav"][0])
    assert describe(tmp_path / "b.wav").n_samples is None


# --- the command line --------------------------------------------------------


def test_a_folder_of_odd_sounds(tmp_path: Path) -> None:
    """All of a folder is transcribed by two processes; what is refused is named."""
    expected = make(tmp_path / "odd", SPEECH, RATE)
    assert len(expected) >= 60
    # Folders are not searched for these endings, which seldom are of sounds.
    named = [str(tmp_path / "odd" / name) for name in ("a.mat", "a.xi")]
    command = [sys.executable, "-m", "factored_asr", "transcribe", "--quiet", "--model", "en-us",
               "--grammar", "lm/smart_home.yaml", "--jobs", "2", str(tmp_path / "odd"), *named]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    texts = dict(line.split("\t") for line in done.stdout.splitlines())
    wrong = [line for line in done.stderr.splitlines() if not line.startswith("factored-asr: ")]
    for name, odd in expected.items():
        path = str(tmp_path / "odd" / name)
        said = [line for line in done.stderr.splitlines() if f"{path}:" in line]
        right = odd.says == "*" or (
            texts.get(path) == odd.text and bool(said) == bool(odd.says)
            and odd.says in " ".join(said)
        )
        wrong += [] if right else [(name, texts.get(path), said)]
    assert wrong == []


@pytest.fixture
def transcribe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Transcribes what is on standard input; returns exit code, standard output and error."""

    def run(data: bytes, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(data)))
        grammar = str(ROOT / "lm" / "smart_home.yaml")
        code = main(["transcribe", "--quiet", "--model", "en-us", "--grammar", grammar, *options])
        return code, *capsys.readouterr()

    return run


def test_standard_input_of_any_kind(transcribe: Callable[..., tuple[int, str, str]]) -> None:
    data = (SPEECH * 32767).astype("<i2").tobytes()
    code, text, said = transcribe(data, "-")
    assert (code, text) == (1, "") and "--raw RATE" in said
    code, text, said = transcribe(data + b"\0", "-", "--raw", "16000")
    assert (code, text) == (0, TEXT + "\n")
    assert said.count("\n") == 1 and "last byte is left out" in said
    code, text, said = transcribe(wav(data + b"\0", promised=len(data) + 1), "-", "--live")
    assert (code, text) == (0, TEXT + "\n")
    code, text, said = transcribe(b"<html><h1>502 Bad Gateway</h1>", "-")
    assert (code, text) == (1, "") and "<stdin>: is an HTML page" in said
    for wrong in ("16", "-8000", "16k", "0", "8000.0", "9" * 50):
        with pytest.raises(SystemExit) as ended:
            transcribe(b"", "-", f"--raw={wrong}")
        assert ended.value.code == 2
    with pytest.raises(OptionError, match="raw_rate is 16, must be 1000 to"):
        BatchOptions(raw_rate=16)


def test_a_bare_rate_goes_with_the_files_that_need_it(
    tmp_path: Path, transcribe: Callable[..., tuple[int, str, str]]
) -> None:
    half = SPEECH[: len(SPEECH) // 2 * 2].reshape(-1, 2).mean(axis=1)
    (tmp_path / "a.raw").write_bytes((half * 32767).astype("<i2").tobytes())
    second = ROOT / "examples" / "audio" / "music_stop.wav"
    _, text, _ = transcribe(b"", "--raw", "8000", "--format", "json", str(tmp_path / "a.raw"),
                            str(second))
    bare, plain = map(json.loads, text.splitlines())
    assert bare["duration"] == pytest.approx(len(SPEECH) / RATE, abs=0.05)
    assert plain["text"] == "stop the music"


def test_errors_name_arguments_that_exist() -> None:
    from factored_asr import Recognizer

    recognizer = Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml")
    path = ROOT / "examples" / "audio" / "music_stop.wav"
    calls = (recognizer.transcribe, recognizer.read, recognizer.explain,
             lambda source, **more: recognizer.align(source, "stop the music", **more))
    for call in calls:
        with pytest.raises(OptionError, match="needs its rate, such as sample_rate=16000"):
            call(SPEECH)
        with pytest.raises(OptionError, match="sample_rate is 16, must be 1000 to"):
            call(SPEECH, sample_rate=16)
        with pytest.raises(OptionError, match="sample_rate goes with an array, .*music_stop.wav"):
            call(path, sample_rate=16000)
    data = (SPEECH * 32767).astype("<i2").tobytes()
    assert recognizer.transcribe(data, sample_rate=RATE).text == TEXT
    assert recognizer.transcribe(wav(data)).text == TEXT
    assert recognizer.transcribe(SPEECH.tolist(), sample_rate=RATE).text == TEXT
    with pytest.raises(FactoredASRError, match="bare samples need their rate"):
        recognizer.transcribe(data)


def test_a_stream_takes_bytes_in_pieces_of_any_size() -> None:
    from factored_asr import Recognizer

    recognizer = Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml")
    data = (SPEECH * 32767).astype("<i2").tobytes()
    stream = recognizer.stream()
    for at in range(0, len(data), 3333):
        stream.accept(data[at : at + 3333])
    assert stream.finish().text == TEXT
    stream.accept(b"\0")
    assert stream.finish().text == ""
    with pytest.raises(TypeError, match="a stream stays in its process"):
        pickle.dumps(stream)
    again = pickle.loads(pickle.dumps(recognizer))
    assert again.transcribe(SPEECH, sample_rate=RATE).text == TEXT
    for other in (recognizer.with_model(recognizer.model),
                  Recognizer(recognizer.model, recognizer.graph)):
        with pytest.raises(TypeError, match="cannot be pickled: load or adapt one in each process"):
            pickle.dumps(other)


def test_names_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="the name of a sound is empty"):
        find_inputs([""])
    with pytest.raises(FactoredASRError, match="there is no such file: an address, download it"):
        read_audio("https://example.org/a.wav")
