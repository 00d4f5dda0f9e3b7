"""Pictures: an utterance, the words that competed for it, how far confidences can be trusted.

Every plot takes the axes to draw on (``ax=None`` makes a figure of its own) and returns them.
matplotlib is an extra (``pip install 'factored-asr[plot]'``) and is imported when first needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factored_asr.audio import Source, read_audio
from factored_asr.decoder import Lattice, arc_posteriors, best_path
from factored_asr.errors import MissingError, OptionError
from factored_asr.results import Alignment, Phone, Transcript

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOW_SECONDS = 0.025  # of the spectrogram
FLOOR_DECIBEL = -70.0  # below the loudest; what is quieter is white
# Where on the vertical axis, 0 to 1, each lane lies.
PHONES, WORDS, SPECTROGRAM, WAVEFORM = (0.0, 0.09), (0.09, 0.2), (0.22, 0.78), (0.8, 1.0)
COLOURS = ("#dbe7f3", "#f6e6cf")  # of neighbouring words and phones
N_COLUMNS = 2000  # of the spectrogram at most: no screen shows more


def plot_utterance(
    source: Source,
    said: Transcript | Alignment,
    *,
    sample_rate: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw waveform, spectrogram, words and phones of one utterance above one time axis.

    Parameters
    ----------
    source
        The sound, as `Recognizer.transcribe` takes it.
    said
        Its transcript, or its alignment; words that do not fit are red.
    sample_rate
        Hz of an array; needed with an array, and only there.
    ax
        Where to draw; a figure of its own where None.

    Raises
    ------
    MissingError
        matplotlib is not installed.
    FormatError
        The sound cannot be read.

    Examples
    --------
    >>> from factored_asr import Transcript, Word
    >>> sound = np.sin(np.arange(16000) / 20).astype(np.float32)
    >>> ax = plot_utterance(sound, Transcript((Word("ah", 0.2, 0.8),)), sample_rate=16000)
    >>> ax.get_xlabel()
    'time (s)'
    """
    samples, rate = read_audio(source, array_rate=sample_rate)
    seconds = len(samples) / rate
    ax = ax or new_axes(width=max(8.0, min(40.0, 3.5 * seconds)), height=5.0)
    _draw_waveform(ax, samples, seconds)
    _draw_spectrogram(ax, samples, rate)
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


def plot_reliability(
    pairs: Iterable[tuple[float, bool]], *, n_bins: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw how often words were right against the confidence that was put in them.

    Parameters
    ----------
    pairs
        Confidence, a probability, and whether the word was right.
    n_bins
        Intervals of confidence, of equal width; a point stands at the mean of its words, its bar
        is the standard error, its area the number of words.
    ax
        Where to draw; a figure of its own where None.

    Raises
    ------
    MissingError
        matplotlib is not installed.
    OptionError
        No pairs, or a confidence that is no probability.

    Examples
    --------
    >>> ax = plot_reliability([(0.9, True), (0.8, True), (0.3, False), (0.2, True)])
    >>> ax.get_title()
    '4 words, 75.0 % right, mean confidence 55.0 %'
    """
    table = np.array(list(pairs), dtype=np.float64).reshape(-1, 2)
    confidence, right = table.T
    if not len(table):
        raise OptionError("a reliability diagram needs at least one pair")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise OptionError("a confidence must be a probability, between 0 and 1")
    if n_bins < 1:
        raise OptionError(f"n_bins must be 1 or more, got {n_bins}")
    ax = ax or new_axes(width=5.0, height=5.0)
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    count = np.bincount(place, minlength=n_bins)
    used = count > 0
    said = np.bincount(place, confidence, n_bins)[used] / count[used]
    share = np.bincount(place, right, n_bins)[used] / count[used]
    error = np.sqrt(share * (1 - share) / count[used])
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--", label="as it should be")
    ax.errorbar(said, share, error, color="#1f5fa8", linewidth=1, capsize=2)
    ax.scatter(said, share, 15 + 200 * count[used] / count.max(), color="#1f5fa8", label="words")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel="confidence", ylabel="share right")
    ax.set_aspect("equal")
    ax.set_title(
        f"{len(table)} words, {100 * right.mean():.1f} % right, "
        f"mean confidence {100 * confidence.mean():.1f} %", fontsize=10,
    )
    ax.legend(loc="upper left", frameon=False)
    return ax


def plot_lattice(lattice: Lattice, *, n_words: int = 150, ax: Axes | None = None) -> Axes:
    """Draw the words of a lattice over time, each as high on the page as it is probable.

    Segmentations are drawn as one: arcs of a word whose times overlap make one bar, from the mean
    start to the mean end, with the sum of their posteriors (over the lattice as it is, not
    determinised, at the scale of its costs; not calibrated). Lines join the words that follow
    each other on the best path.

    Parameters
    ----------
    lattice
        From a recogniser, a search or a file.
    n_words
        Bars at most: the most probable.
    ax
        Where to draw; a figure of its own where None.

    Raises
    ------
    MissingError
        matplotlib is not installed.
    OptionError
        The lattice has no path.

    Examples
    --------
    >>> from factored_asr.decoder.lattice_files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6.5 l=-2\\n"
    >>> plot_lattice(read_slf_text(text)).get_ylabel()
    'posterior'
    """
    best = best_path(lattice)
    if best is None:
        raise OptionError("a lattice without a path cannot be drawn")
    bars = sorted(_bars(lattice), key=lambda bar: -bar.posterior)[:n_words]
    seconds = lattice.n_frames * (lattice.frame_seconds or 1.0)
    ax = ax or new_axes(width=max(8.0, min(40.0, 3.0 * seconds)), height=6.0)
    said = set(best.arcs)
    for bar in bars:
        colour = "#1f5fa8" if said & bar.arcs else "#b06a2c"
        ax.plot([bar.start, bar.end], [bar.posterior] * 2, color=colour, linewidth=2, alpha=0.8,
                solid_capstyle="butt")
        ax.text(0.5 * (bar.start + bar.end), bar.posterior * 1.04, bar.text, fontsize=8,
                ha="center", va="bottom", color=colour, clip_on=True)
    path = sorted((bar for bar in bars if said & bar.arcs), key=lambda bar: bar.start)
    for one, other in pairwise(path):
        ax.plot([one.end, other.start], [one.posterior, other.posterior], color="#1f5fa8",
                linewidth=0.6, alpha=0.6)
    lowest = min(bar.posterior for bar in bars) if bars else 0.1
    ax.set(yscale="log", ylim=(max(lowest, 1e-3) * 0.8, 1.4), xlim=(0, seconds))
    ticks = [t for t in (0.001, 0.01, 0.03, 0.1, 0.3, 1.0) if t >= 0.8 * lowest]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    ax.set_yticks([], minor=True)
    ax.set(xlabel="time (s)" if lattice.frame_seconds else "time (frames)", ylabel="posterior")
    return ax


@dataclass(frozen=True)
class _Bar:
    text: str
    start: float
    end: float
    posterior: float
    arcs: frozenset[int]


def _bars(lattice: Lattice) -> Iterator[_Bar]:
    """Arcs of one word that overlap in time, as one; each with its posterior."""
    posterior = arc_posteriors(lattice).arc
    seconds = lattice.frame_seconds or 1.0
    starts = lattice.node_frame[lattice.arc_source]
    ends = lattice.node_frame[lattice.arc_target]
    for word in np.unique(lattice.arc_word[lattice.arc_word > 0]).tolist():
        waiting = np.flatnonzero((lattice.arc_word == word) & (posterior > 1e-6))
        waiting = waiting[np.argsort(-posterior[waiting])]
        while len(waiting):
            top = waiting[0]
            middle = 0.5 * (starts[top] + ends[top])
            same = (starts[waiting] <= middle) & (ends[waiting] >= middle)
            arcs, waiting = waiting[same], waiting[~same]
            weight = posterior[arcs]
            yield _Bar(
                lattice.spelt(word), seconds * float(np.average(starts[arcs], weights=weight)),
                seconds * float(np.average(ends[arcs], weights=weight)),
                min(float(weight.sum()), 1.0), frozenset(arcs.tolist()),
            )


def save(ax: Axes, path: str | Path) -> None:
    """Write the figure that axes belong to; the end of the name says in which format.

    Raises
    ------
    OptionError
        The file cannot be written, or there is no such format of pictures.
    """
    try:
        ax.figure.savefig(path, dpi=120)  # type: ignore[union-attr]
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be written: {error}") from error


def new_axes(width: float, height: float) -> Any:
    """Axes in a figure, in inches, that no window system and no global list knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingError(
            "plots need matplotlib: pip install 'factored-asr[plot]'"
        ) from None
    return Figure((width, height), layout="constrained").add_subplot()


def _draw_waveform(ax: Axes, samples: np.ndarray, seconds: float) -> None:
    """The extent of the samples in each of many columns."""
    size = max(1, len(samples) // (2 * N_COLUMNS))
    columns = samples[: len(samples) // size * size].reshape(-1, size)
    low, high = WAVEFORM
    scale = 0.5 * (high - low) / max(float(np.abs(samples).max()), 1e-6)
    time = (np.arange(len(columns)) + 0.5) * seconds / len(columns)
    middle = 0.5 * (low + high)
    top, bottom = (middle + scale * columns.max(axis=1), middle + scale * columns.min(axis=1))
    ax.fill_between(time, bottom, top, color="#1f5fa8", linewidth=0.4, edgecolor="#1f5fa8")


def _draw_spectrogram(ax: Axes, samples: np.ndarray, rate: int) -> None:
    """Decibels below the loudest point, dark where loud."""
    size = max(16, round(WINDOW_SECONDS * rate))
    # The step from sample to sample, which lifts the high frequencies.
    padded = np.pad(np.diff(samples, prepend=samples[:1]), (size // 2, size))
    shift = max(size // 8, len(samples) // N_COLUMNS)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) : shift]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), n=2 * size, axis=1)) ** 2
    decibel = 10 * np.log10(power / max(float(power.max()), 1e-12) + 1e-12)
    first, last = -0.5 * shift / rate, (len(frames) - 0.5) * shift / rate
    ax.imshow(
        decibel.T.astype(np.float32), origin="lower", aspect="auto",
        extent=(first, last, *SPECTROGRAM), cmap="Greys", vmin=FLOOR_DECIBEL, vmax=0,
        interpolation="bilinear",
    )


def _draw_lane(
    ax: Axes, marks: Sequence[Phone], lane: tuple[float, float], size: float,
    doubted: Iterable[int] = (),
) -> None:
    """Boxes with their text, in turns of two colours."""
    low, high = lane
    doubted = set(doubted)
    for number, mark in enumerate(marks):
        ax.fill_between(
            [mark.start, mark.end], low, high, color=COLOURS[number % 2], linewidth=0
        )
        ax.text(
            0.5 * (mark.start + mark.end), 0.5 * (low + high), mark.text, fontsize=size,
            ha="center", va="center", clip_on=True,
            color="#b3261e" if number in doubted else "black",
        )
    if marks:
        edges = sorted({mark.start for mark in marks} | {mark.end for mark in marks})
        ax.vlines(edges, low, high, color="#777777", linewidth=0.5)
