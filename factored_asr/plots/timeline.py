"""What detectors found in a sound: waveform, spectrogram and detections above one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factored_asr.audio.reading import Source, check_rate, read_audio
from factored_asr.detectors.detection import Detection
from factored_asr.plots.axes import new_axes
from factored_asr.plots.utterance import draw_spectrogram, draw_waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("wake", "directed", "speech", "event")
"""Lanes from above to below."""
COLOURS = {"wake": "#b3261e", "directed": "#2e7d32", "speech": "#1f5fa8", "event": "#9a6a00"}
TOP, LANES = 0.3, (0.0, 0.28)
"""Of the vertical axis, 0 to 1: the sound lies above, the detections below."""


def plot_timeline(
    source: Source, found: Sequence[Detection], *, sample_rate: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what detectors found in a sound, one lane for each kind; a faint box has a low score.

    Parameters
    ----------
    source
        The sound, as `detectors.detect` takes it.
    found
        The detections.
    sample_rate
        Hz of an array; needed with an array, and only there.
    ax
        Where to draw; None (default): a new figure.

    Examples
    --------
    >>> import numpy as np
    >>> sound = np.sin(np.arange(16000) / 20).astype(np.float32)
    >>> ax = plot_timeline(sound, [Detection("wake", "alexa", 0.2, 0.8, 0.9)], sample_rate=16000)
    >>> [text.get_text() for text in ax.texts]
    ['alexa 0.90']
    """
    check_rate(source, sample_rate)
    samples, rate = read_audio(source, array_rate=sample_rate)
    seconds = len(samples) / rate
    ax = ax or new_axes(width=max(8.0, min(40.0, 1.5 * seconds)), height=4.5)
    draw_waveform(ax, samples, seconds)
    draw_spectrogram(ax, samples, rate, (TOP, 0.78))
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in found)]
    low, high = LANES
    height = (high - low) / max(len(kinds), 1)
    middles = [high - (lane + 0.5) * height for lane in range(len(kinds))]
    for kind, middle in zip(kinds, middles, strict=True):
        for each in found:
            if each.kind == kind:
                _draw_box(ax, each, middle, 0.42 * height)
    ax.set_yticks(middles, kinds)
    ax.set_xlabel("time (s)")
    ax.set(xlim=(0, seconds), ylim=(0, 1))
    return ax


def _draw_box(ax: Axes, found: Detection, middle: float, half: float) -> None:
    colour = COLOURS[found.kind]
    ax.fill_between([found.start, found.end], middle - half, middle + half, color=colour,
                    alpha=0.15 + 0.6 * found.score, linewidth=0)
    ax.text(0.5 * (found.start + found.end), middle, f"{found.name} {found.score:.2f}", fontsize=9,
            ha="center", va="center", clip_on=True)
