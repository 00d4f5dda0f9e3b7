"""An utterance: waveform, spectrogram, words and phones above one time axis."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.audio.reading import Source, check_rate, read_audio
from factored_asr.plots.axes import new_axes
from factored_asr.results.alignment import Alignment
from factored_asr.results.transcript import Phone, Transcript
from factored_asr.storage.kernels import foreign_kernels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOW_SECONDS = 0.025  # of the spectrogram
FLOOR_DECIBEL = -70.0  # relative to the loudest point; white below
# Where on the vertical axis, 0 to 1, each lane lies.
PHONES, WORDS, SPECTROGRAM, WAVEFORM = (0.0, 0.09), (0.09, 0.2), (0.22, 0.78), (0.8, 1.0)
COLOURS = ("#dbe7f3", "#f6e6cf")  # of neighbouring words and phones
N_COLUMNS = 2000  # of the spectrogram at most: no screen shows more


def plot_utterance(
    source: Source, said: Transcript | Alignment, *, sample_rate: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw waveform, spectrogram, words and phones of one utterance above one time axis.

    Parameters
    ----------
    source
        The sound, as `Recognizer.transcribe` takes it.
    said
        Its transcript or alignment; words that do not fit are red.
    sample_rate
        Hz of an array; needed with an array, and only there.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> from factored_asr import Transcript, Word
    >>> sound = np.sin(np.arange(16000) / 20).astype(np.float32)
    >>> ax = plot_utterance(sound, Transcript((Word("ah", 0.2, 0.8),)), sample_rate=16000)
    >>> ax.get_xlabel()
    'time (s)'
    """
    check_rate(source, sample_rate)
    samples, rate = read_audio(source, array_rate=sample_rate)
    seconds = len(samples) / rate
    ax = ax or new_axes(width=max(8.0, min(40.0, 3.5 * seconds)), height=5.0)
    draw_waveform(ax, samples, seconds)
    draw_spectrogram(ax, samples, rate)
    aligned = said.words if isinstance(said, Alignment) else ()
    words = said.transcript.words if isinstance(said, Alignment) else said.words
    doubted = [number for number, each in enumerate(aligned) if not each.fits]
    phones = [phone for word in words for phone in word.timed_phones]
    _draw_lane(ax, [Phone(word.text, word.start, word.end) for word in words], WORDS, 11, doubted)
    _draw_lane(ax, phones, PHONES, 8)
    kilohertz = np.arange(0, rate / 2000 + 0.01, 2 if rate > 8000 else 1)
    low, high = SPECTROGRAM
    ax.set_yticks(low + (high - low) * kilohertz / (rate / 2000), [f"{f:g}" for f in kilohertz])
    ax.set_ylabel("frequency (kHz)", y=(low + high) / 2)
    ax.set_xlabel("time (s)")
    ax.set(xlim=(0, seconds), ylim=(0, 1))
    return ax


def draw_waveform(ax: Axes, samples: np.ndarray, seconds: float) -> None:
    """Fill between the least and the greatest sample of each of many columns."""
    size = max(1, len(samples) // (2 * N_COLUMNS))
    columns = samples[: len(samples) // size * size].reshape(-1, size)
    low, high = WAVEFORM
    scale = 0.5 * (high - low) / max(float(np.abs(samples).max()), 1e-6)
    time = (np.arange(len(columns)) + 0.5) * seconds / len(columns)
    bottom, top = (0.5 * (low + high) + scale * end(axis=1) for end in (columns.min, columns.max))
    ax.fill_between(time, bottom, top, color="#1f5fa8", linewidth=0.4, edgecolor="#1f5fa8")


def draw_spectrogram(ax: Axes, samples: np.ndarray, rate: int,
                     lane: tuple[float, float] = SPECTROGRAM) -> None:
    """Draw decibels relative to the loudest point; dark is loud. `lane`: where, from 0 to 1."""
    import librosa

    size = max(16, round(WINDOW_SECONDS * rate))
    shift = max(size // 8, len(samples) // N_COLUMNS)
    # Differences of neighbouring samples emphasise the high frequencies.
    padded = np.pad(np.diff(samples, prepend=samples[:1]), size)
    with foreign_kernels():
        spectra = librosa.stft(padded, n_fft=2 * size, win_length=size, hop_length=shift,
                               center=False)
        power = np.abs(spectra) ** 2
        decibel = librosa.power_to_db(power, ref=max(power.max(), 1e-12), amin=1e-24, top_db=None)
    first, last = -0.5 * shift / rate, (power.shape[1] - 0.5) * shift / rate
    ax.imshow(decibel, origin="lower", aspect="auto", extent=(first, last, *lane),
              cmap="Greys", vmin=FLOOR_DECIBEL, vmax=0, interpolation="bilinear")


def _draw_lane(
    ax: Axes, marks: Sequence[Phone], lane: tuple[float, float], size: float,
    doubted: Collection[int] = (),
) -> None:
    """Draw boxes with text, in two alternating colours."""
    low, high = lane
    for number, mark in enumerate(marks):
        ax.fill_between([mark.start, mark.end], low, high, color=COLOURS[number % 2], linewidth=0)
        ax.text(
            0.5 * (mark.start + mark.end), 0.5 * (low + high), mark.text, fontsize=size,
            ha="center", va="center", clip_on=True,
            color="#b3261e" if number in doubted else "black",
        )
    if marks:
        edges = sorted({mark.start for mark in marks} | {mark.end for mark in marks})
        ax.vlines(edges, low, high, color="#777777", linewidth=0.5)
