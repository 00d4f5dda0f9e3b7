"""Slow, obvious twins of the front end: one frame, one band, one sample at a time."""

from __future__ import annotations

import math

import numpy as np

from factored_asr.features import FeatureOptions


def frames(samples: np.ndarray, options: FeatureOptions) -> list[list[float]]:
    """Windowed frames of pre-emphasised samples on a 16-bit scale, the last one filled up."""
    scaled = [float(sample) * 32768 for sample in samples]
    emphasis = float(np.float32(options.preemphasis))
    emphasised = [
        sample - emphasis * before for sample, before in zip(scaled, [0.0, *scaled], strict=False)
    ]
    length, shift = options.window_samples, options.shift_samples
    found = []
    start = 0
    while start + length <= len(emphasised):
        found.append(emphasised[start : start + length])
        start += shift
    if rest := emphasised[start:]:
        found.append(rest + [0.0] * (length - len(rest)))
    window = [0.54 - 0.46 * math.cos(2 * math.pi * i / (length - 1)) for i in range(length)]
    return [[value * weight for value, weight in zip(f, window, strict=True)] for f in found]


def sphinx_filters(options: FeatureOptions) -> np.ndarray:
    """(n_bins, n_mels): triangles between corners that are rounded to bins."""

    def mel(hz: float) -> float:
        return 2595 * math.log10(1 + hz / 700)

    n_bins = options.n_fft // 2 + 1
    bin_hz = options.sample_rate / options.n_fft
    low, high = mel(options.low_hz), mel(options.high_hz)
    width = (high - low) / (options.n_mels + 1)
    corners = [
        int(700 * (10 ** ((low + i * width) / 2595) - 1) / bin_hz + 0.5)
        for i in range(options.n_mels + 2)
    ]
    filters = np.zeros((n_bins, options.n_mels))
    for band in range(options.n_mels):
        left, centre, right = corners[band : band + 3]
        for i in range(left, min(right, n_bins - 2) + 1):
            side = (i - left) / (centre - left) if i < centre else (right - i) / (right - centre)
            filters[i, band] = side * 2 / ((right - left) * bin_hz)
    return filters


def remove_noise(powers: np.ndarray) -> np.ndarray:
    """Sphinx's noise removal, band by band in plain numbers."""
    n_bands = powers.shape[1]
    power = powers[0].tolist()
    noise = [value / 20 for value in power]
    floor = [value / 20 for value in power]
    peak = [0.0] * n_bands
    cleaned = np.zeros_like(powers)
    for t, frame in enumerate(powers.tolist()):
        gains = []
        for b in range(n_bands):
            power[b] = 0.7 * power[b] + 0.3 * frame[b]
            keep = 0.995 if power[b] >= noise[b] else 0.5
            noise[b] = keep * noise[b] + (1 - keep) * power[b]
            signal = heard = max(power[b] - noise[b], 1.0)
            keep = 0.995 if signal >= floor[b] else 0.5
            floor[b] = keep * floor[b] + (1 - keep) * signal
            peak[b] *= 0.85
            if signal < 0.85 * peak[b]:
                signal = 0.2 * peak[b]
            peak[b] = max(peak[b], heard)
            signal = max(signal, floor[b])
            gains.append(min(20.0, max(1 / 20, signal / power[b] if power[b] else 20.0)))
        for b in range(n_bands):
            near = gains[max(0, b - 4) : b + 5]
            cleaned[t, b] = frame[b] * sum(near) / len(near)
    return cleaned


def cepstra(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """(n_frames, n_cepstra) of a Sphinx front end."""
    filters = sphinx_filters(options)
    spectra = [np.fft.rfft(frame, options.n_fft) for frame in frames(samples, options)]
    powers = np.array([abs(spectrum) ** 2 @ filters for spectrum in spectra])
    if options.remove_noise:
        powers = remove_noise(powers)
    n_mels = options.n_mels
    found = np.zeros((len(powers), options.n_cepstra))
    for t, frame in enumerate(np.log(powers + 1e-4)):
        for k in range(options.n_cepstra):
            total = sum(
                frame[b] * math.cos(math.pi * k * (b + 0.5) / n_mels) for b in range(n_mels)
            )
            scale = math.sqrt((1 if k == 0 else 2) / n_mels)
            lift = 1.0
            if options.lifter:
                lift += options.lifter // 2 * math.sin(math.pi * k / options.lifter)
            found[t, k] = total * scale * lift
    return found


def add_deltas(static: np.ndarray) -> np.ndarray:
    """Sphinx's 1s_c_d_dd; frames beyond the edges are those at the edges."""

    def at(t: int) -> np.ndarray:
        return static[min(max(t, 0), len(static) - 1)]

    return np.array(
        [
            np.concatenate(
                [
                    at(t),
                    at(t + 2) - at(t - 2),
                    (at(t + 3) - at(t - 1)) - (at(t + 1) - at(t - 3)),
                ]
            )
            for t in range(len(static))
        ]
    )
