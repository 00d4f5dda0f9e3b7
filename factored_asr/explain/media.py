"""Sound and its spectrogram as data URLs of WAV and PNG, for a page that needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np

COLUMN_SECONDS = 0.01  # of the spectrogram
WINDOW_SECONDS = 0.025
N_ROWS = 128
FLOOR_DECIBEL = -70.0  # relative to the loudest point; anything below is white
DARKEST = np.array([20, 30, 82])  # red, green, blue of the loudest point


def wav_data(samples: np.ndarray, rate: int) -> str:
    """Return a sound as a data URL of a 16-bit WAV file.

    >>> wav_data(np.zeros(4, np.float32), 16000)[:22]
    'data:audio/wav;base64,'
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, format="WAV", subtype="PCM_16")
    return _data("audio/wav", file.getvalue())


def spectrogram_data(samples: np.ndarray, rate: int) -> str:
    """Return the spectrogram of a sound, from 0 to half the rate, as a data URL of a PNG image."""
    return _data("image/png", png(_levels(samples, rate)))


def png(levels: np.ndarray) -> bytes:
    """Return a PNG file of (height, width) levels, uint8, 0 (white) to 255 (darkest).

    >>> png(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    from PIL import Image

    share = np.arange(256)[:, None] / 255
    image = Image.fromarray(levels)
    image.putpalette(np.round(255 + share * (DARKEST - 255)).astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """(N_ROWS, n_columns) uint8: loudness, high frequencies at the top."""
    size, shift = round(WINDOW_SECONDS * rate), round(COLUMN_SECONDS * rate)
    # Differences of neighbouring samples emphasise the high frequencies.
    padded = np.pad(np.diff(samples, prepend=samples[:1]), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: max(1, len(samples)) : shift]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), n=4 * N_ROWS, axis=1)) ** 2
    power = power[:, : 2 * N_ROWS].reshape(len(frames), N_ROWS, 2).mean(axis=2).T
    decibel = 10 * np.log10(power / max(float(power.max()), 1e-12) + 1e-12)
    share = np.clip(1 - decibel / FLOOR_DECIBEL, 0, 1)
    return np.round(255 * share[::-1]).astype(np.uint8)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
