"""A folder of odd sounds, as users really have them, and what must become of each."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FFMPEG = shutil.which("ffmpeg")
TEXT = "turn on the kitchen light"


@dataclass(frozen=True)
class Odd:
    """What must become of a sound: `text`, or an error or notice that holds `says`."""

    text: str | None = TEXT
    says: str = ""
    """Of the one line on standard error; empty: there is none."""


def wav(
    data: bytes, *, rate: int = 16000, channels: int = 1, bits: int = 16, code: int = 1,
    promised: int | None = None, riff: int | None = None, before: bytes = b"", after: bytes = b"",
    order: str = "<",
) -> bytes:
    """A WAV file with any header."""
    width = channels * bits // 8
    form = struct.pack(f"{order}4sIHHIIHH", b"fmt ", 16, code, channels, rate, rate * width, width,
                       bits)
    size = len(data) if promised is None else promised
    total = 36 + len(before) + len(data) if riff is None else riff
    mark = b"RIFF" if order == "<" else b"RIFX"
    return (mark + struct.pack(f"{order}I", total) + b"WAVE" + before + form + b"data"
            + struct.pack(f"{order}I", size) + data + after)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a WAV file, padded."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def encoded(samples: np.ndarray, rate: int, form: str, coding: str | None = None, end: str = "FILE"
            ) -> bytes:
    """The bytes of a file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=coding, endian=end)
    return file.getvalue()


def relabelled(caf: bytes, size: int) -> bytes:
    """A CAF file whose chunk of samples claims another size."""
    at = caf.index(b"data") + 4
    return caf[:at] + struct.pack(">q", size) + caf[at + 8 :]


def wavs(samples: np.ndarray, rate: int) -> dict[str, tuple[bytes, Odd]]:
    """WAV files whose headers are odd."""
    data = (samples * 32767).astype("<i2").tobytes()
    big = (samples * 32767).astype(">i2").tobytes()
    ok = Odd()
    open_ended = Odd(says="leaves the length open")
    files = {
        "length_zero": (wav(data, promised=0, riff=0), Odd(says="promises no samples")),
        "length_zero_riff_36": (wav(data, promised=0, riff=36), Odd(says="promises no samples")),
        "length_ffffffff": (wav(data, promised=0xFFFFFFFF, riff=0xFFFFFFFF), open_ended),
        "length_7fffffff": (wav(data, promised=0x7FFFFFFF), open_ended),
        "length_80000000": (wav(data, promised=0x80000000), open_ended),
        "length_ffffffdb": (wav(data, promised=0xFFFFFFDB), open_ended),
        "length_plus_1": (wav(data, promised=len(data) + 1), Odd(says="which are read")),
        "length_plus_8": (wav(data, promised=len(data) + 8), Odd(says="which are read")),
        "length_plus_44": (wav(data, promised=len(data) + 44), Odd(says="which are read")),
        "length_plus_4096": (wav(data, promised=len(data) + 4096), Odd(says="which are read")),
        "odd_byte_more": (wav(data + b"\1"), Odd(says="last 1 bytes are left out")),
        "odd_byte_less": (wav(data[:-1]), Odd(says="last 1 bytes are left out")),
        "cut_by_a_byte": (wav(data)[:-1], Odd(says="which are read")),
        "cut_in_half": (wav(data)[: len(data) // 2], Odd(None, "truncated")),
        "no_data": (wav(b"")[:36], Odd(None, "without a data chunk")),
        "no_samples": (wav(b""), Odd(None, "holds no samples")),
        "no_samples_but_a_list": (wav(b"", after=chunk(b"LIST", b"INFOabcd")),
                                  Odd(None, "holds no samples")),
        "riff_size_wrong": (wav(data, riff=12), ok),
        "riff_size_zero": (wav(data, riff=0), ok),
        "list_before": (wav(data, before=chunk(b"LIST", b"INFOISFT\4\0\0\0Lavf")), ok),
        "junk_before": (wav(data, before=chunk(b"JUNK", bytes(28))), ok),
        "bext_before": (wav(data, before=chunk(b"bext", bytes(602))), ok),
        "odd_chunk_before": (wav(data, before=chunk(b"note", b"odd")), ok),
        "odd_chunk_unpadded": (wav(data, before=chunk(b"note", b"odd")[:-1]), ok),
        "big_chunk_before": (wav(data, before=chunk(b"id3 ", bytes(70_000))), ok),
        "list_after": (wav(data, after=chunk(b"LIST", b"INFO")), ok),
        "garbage_after": (wav(data, after=b"TAGgarbage" * 20), ok),
        "zeros_after": (wav(data, after=bytes(4096)), ok),
        "big_endian": (wav(big, order=">"), ok),
        "fact_chunk": (wav(data, before=chunk(b"fact", struct.pack("<I", len(samples)))), ok),
        "joined": (wav(data) * 2, Odd(says="more samples follow behind")),
        "block_align_wrong": (wav(data)[:32] + b"\1\0" + wav(data)[34:], ok),
        "block_align_zero": (wav(data)[:32] + b"\0\0" + wav(data)[34:], ok),
        "byte_order_mark": (b"\xef\xbb\xbf" + wav(data), Odd(None, "remove the first 3 bytes")),
        "head_of_http": (b"HTTP/1.1 200 OK\r\n\r\n" + wav(data), Odd(None, "the first 19 bytes")),
        "four_bytes": (b"RIFF", Odd(None, "truncated")),
        "no_channels": (wav(data, channels=0), Odd(None, "0 channels")),
        "no_rate": (wav(data, rate=0), Odd(None, "0 Hz")),
        "bits_do_not_fit": (wav(data, bits=5), Odd(None, "does not fit")),
        "rate_of_1_hz": (wav(data, rate=1), Odd(None, "a rate of 1 Hz, must be 1000 to")),
    }
    for coding in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM",
                   "MS_ADPCM", "GSM610"):
        files[f"coding_{coding.lower()}"] = (encoded(samples, rate, "WAV", coding), ok)
    files["extensible"] = (encoded(samples, rate, "WAVEX", "PCM_16"), ok)
    files["rf64"] = (encoded(samples, rate, "RF64", "PCM_16"), ok)
    return {f"{name}.wav": made for name, made in files.items()}


def others(samples: np.ndarray, rate: int) -> dict[str, tuple[bytes, Odd]]:
    """Other formats that libsndfile reads, names that lie, channels, and what is no sound."""
    data = (samples * 32767).astype("<i2").tobytes()
    plain, ok = wav(data), Odd()
    stereo = np.stack([samples, samples], axis=1)
    mp3, flac, ogg, aiff, au, sph, caf = (
        encoded(samples, rate, form)
        for form in ("MP3", "FLAC", "OGG", "AIFF", "AU", "NIST", "CAF")
    )
    voc = encoded(samples, rate, "VOC", "PCM_16")
    open_flac = bytearray(flac)
    open_flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])  # of ffmpeg, say, into a pipe
    return {
        "a.flac": (flac, ok),
        "a.ogg": (ogg, ok),
        "a.opus": (encoded(samples, rate, "OGG", "OPUS"), ok),
        "a.mp3": (mp3, ok),
        "id3.mp3": (b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + mp3, ok),
        "a.aiff": (aiff, ok),
        "a.aifc": (encoded(samples, rate, "AIFF", "ULAW"), ok),
        "a.au": (au, ok),
        "little.au": (encoded(samples, rate, "AU", end="LITTLE"), ok),
        "a.caf": (encoded(samples, rate, "CAF"), ok),
        "alac.caf": (encoded(samples, rate, "CAF", "ALAC_16"), ok),
        "a.w64": (encoded(samples, rate, "W64"), ok),
        "a.sph": (sph, ok),
        "a.voc": (encoded(samples, rate, "VOC", "PCM_16"), ok),
        "big.ircam": (encoded(samples, rate, "IRCAM", "PCM_16", "BIG"), ok),
        "little.ircam": (encoded(samples, rate, "IRCAM", "FLOAT", "LITTLE"), ok),
        "a.mat": (encoded(samples, rate, "MAT5", "DOUBLE"), ok),
        "a.sds": (encoded(samples, rate, "SDS", "PCM_16"), ok),
        "a.xi": (encoded(samples, rate, "XI", "DPCM_16"), Odd(None, "an instrument of a tracker")),
        "bare.raw": (data, ok),
        "bare_odd.pcm": (data + b"\0", Odd(says="its last byte is left out")),
        "a_wav.raw": (plain, ok),
        "a_wav.mp3": (plain, ok),
        "an_mp3.wav": (mp3, ok),
        "a_flac.ogg": (flac, ok),
        "stereo.wav": (encoded(stereo, rate, "WAV"), ok),
        "antiphase.wav": (encoded(stereo * [1, -1], rate, "WAV", "FLOAT"),
                          Odd("", "are in antiphase")),
        "left_only.wav": (encoded(stereo * [1, 0], rate, "WAV"), ok),
        "length_open.flac": (bytes(open_flac), ok),
        "tagged.flac": (flac + b"TAG" + bytes(125), ok),
        "tagged.mp3": (mp3 + b"TAG" + bytes(125), ok),
        "a_little_short.aiff": (aiff[:-3], Odd(says="which are read")),
        "length_zero.aiff": (aiff.replace(b"SSND" + aiff[42:46], b"SSND\0\0\0\0"),
                             Odd(says="promises no samples")),
        "length_off.au": (au[:8] + (len(au) - 16).to_bytes(4) + au[12:],
                          Odd(says="which are read")),
        "of_8_bytes.aiff": (aiff.replace(b"SSND" + aiff[42:46], b"SSND\0\0\0\x08"),
                          Odd(says="promises no samples")),
        "length_zero.au": (au[:8] + bytes(4) + au[12:], Odd(says="promises no samples")),
        "length_zero.caf": (relabelled(caf, 0), Odd(says="promises no samples")),
        "length_4.caf": (relabelled(caf, 4), Odd(says="promises no samples")),
        "length_open.caf": (relabelled(caf, -1), Odd(says="leaves the length open")),
        "a_little_short.caf": (caf[:-100], Odd(says="which are read")),
        "cut.caf": (caf[: -len(samples)], Odd(None, "truncated: the header promises")),
        "a_little_short.voc": (voc[:-100], Odd(says="which are read")),
        "cut.voc": (voc[: -len(samples)], Odd(None, "truncated: the header promises")),
        "cut.aiff": (aiff[: -len(samples)], Odd(None, "truncated: the header promises")),
        "cut.au": (au[: -len(samples)], Odd(None, "truncated: the header promises")),
        "cut.sph": (sph[: -len(samples)], Odd(None, "truncated: the header promises")),
        "slow.wav": (encoded(samples[::2], rate // 2, "WAV"), Odd(None, "*")),
        "empty.wav": (b"", Odd(None, "an empty file")),
        "cut.flac": (flac[:9000], Odd(None, "truncated")),
        "page.wav": (b"<!DOCTYPE html>\n<html><p>404 not found</p></html>",
                     Odd(None, "an HTML page")),
        "page.mp3": (b"\xef\xbb\xbf  <HTML><HEAD>", Odd(None, "an HTML page")),
        "error.wav": (b'{"error": "quota exceeded"}', Odd(None, "a JSON document")),
        "xml.wav": (b'<?xml version="1.0"?><Error/>', Odd(None, "an XML document")),
        "text.wav": (b"no sound, only words\n", Odd(None, "a text")),
        "lfs.wav": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                    Odd(None, "git lfs pull")),
        "zip.wav": (b"PK\3\4" + bytes(200), Odd(None, "a zip archive")),
        "gz.wav": (b"\x1f\x8b\x08\0" + bytes(range(200)), Odd(None, "a gzip archive")),
        "zeros.wav": (bytes(5000), Odd(None, "no known format of sound")),
        "noise.wav": (np.random.default_rng(1).bytes(5000), Odd(None, "no known format of sound")),
    }


CODINGS = {
    "a.m4a": ("-c:a", "aac"), "fast.m4a": ("-c:a", "aac", "-movflags", "+faststart"),
    "alac.m4a": ("-c:a", "alac"), "a.aac": ("-c:a", "aac", "-f", "adts"),
    "a.webm": ("-c:a", "libopus"), "a.mka": ("-c:a", "pcm_s16le"), "a.wma": ("-c:a", "wmav2"),
    "a.ac3": ("-c:a", "ac3"), "a.mp2": ("-c:a", "mp2"), "a.wv": ("-c:a", "wavpack"),
    "a.tta": ("-c:a", "tta"), "a.3gp": ("-c:a", "aac"), "a.avi": ("-c:a", "mp3"),
    "a.sox": (), "a.nut": (), "latm.aac": ("-c:a", "aac", "-f", "latm"),
    "a.flv": ("-c:a", "mp3", "-ar", "22050"), "a.mkv": ("-c:a", "flac"), "a.mov": ("-c:a", "aac"),
}  # fmt: skip
"""Files that ffmpeg writes, and with what options."""


def by_ffmpeg(samples: np.ndarray, rate: int, folder: Path) -> dict[str, tuple[bytes, Odd]]:
    """What only ffmpeg writes and reads; empty where it is not installed."""
    if FFMPEG is None:
        return {}
    soundfile.write(folder / "source.wav", samples, rate)
    made: dict[str, tuple[bytes, Odd]] = {}
    for name, options in CODINGS.items():
        command = [FFMPEG, "-nostdin", "-y", "-loglevel", "error", "-i", str(folder / "source.wav"),
                   *options, str(folder / name)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            made[name] = ((folder / name).read_bytes(), Odd())
        (folder / name).unlink(missing_ok=True)
    video = [FFMPEG, "-nostdin", "-y", "-loglevel", "error", "-f", "lavfi", "-i",
             "color=s=32x32:d=1", "-i", str(folder / "source.wav"), "-c:a", "aac"]
    for name, options in {"video.mp4": [], "silent.mp4": ["-an"]}.items():
        if subprocess.run([*video, *options, str(folder / name)], capture_output=True).returncode:
            continue
        odd = Odd() if name == "video.mp4" else Odd(None, "holds no sound track")
        made[name] = ((folder / name).read_bytes(), odd)
        (folder / name).unlink()
    (folder / "source.wav").unlink()
    frames = encoded(samples, rate, "MP3")
    made["cut_at_its_start.mp3"] = (frames[700:], Odd())
    made["zeros_before.mp3"] = (bytes(500) + frames, Odd())
    if "a.m4a" in made:
        whole = made["a.m4a"][0]
        made["cut.m4a"] = (whole[: len(whole) // 2], Odd(None, "ffmpeg cannot read it"))
        made["an_m4a.wav"] = (whole, Odd())
    return made


def make(folder: Path, samples: np.ndarray, rate: int) -> dict[str, Odd]:
    """Fill a folder; return what must become of each file by its name."""
    folder.mkdir(exist_ok=True)
    made = {**wavs(samples, rate), **others(samples, rate), **by_ffmpeg(samples, rate, folder)}
    for name, (data, _) in made.items():
        (folder / name).write_bytes(data)
    return {name: odd for name, (_, odd) in made.items()}
