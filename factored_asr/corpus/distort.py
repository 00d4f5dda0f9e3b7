"""Distorted copies of speech to train on: other voices, rooms, microphones, levels and noises.

Speed is changed by resampling, which moves pitch and formants, too: a copy is another voice
(T. Ko and others, "Audio augmentation for speech recognition", 2015). Rooms are decaying noise
(J. Moorer, "About this reverberation business", 1979).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.audio.mixing import add_noise
from factored_asr.corpus.augment import cut_from
from factored_asr.errors import OptionError

TRIES = 10  # pieces of noise that are drawn until one is not silent


@dataclass(frozen=True)
class Distortion:
    """What is drawn for a copy, and how often. Shares are probabilities, 0 to 1."""

    speed: tuple[float, float] = (0.85, 1.18)
    """Range of the speed; 1 leaves it as it is."""
    speed_share: float = 0.7
    """Share of the copies whose speed is changed."""
    snr: tuple[float, float] = (-2.0, 28.0)
    """Range of the ratio of speech to noise, dB between the loudest blocks of both."""
    noise_share: float = 0.75
    """Share of the copies in noise: given noises, computed ones, other speech."""
    room: tuple[float, float] = (0.08, 0.35)
    """Range of the time in which an echo falls by 60 dB, seconds."""
    room_share: float = 0.3
    """Share of the copies in a room."""
    band: tuple[float, float, float, float] = (60.0, 300.0, 3000.0, 6500.0)
    """Ranges of the lower and of the upper edge of a narrow microphone, Hz."""
    band_share: float = 0.2
    """Share of the copies through such a microphone."""
    level: tuple[float, float] = (-26.0, -1.0)
    """Range of the peak, dB below full scale."""
    seed: int = 0
    """Selects all of it, together with the utterance's id and the copy's number."""

    def __post_init__(self) -> None:
        for name in ("speed_share", "noise_share", "room_share", "band_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must lie in [0, 1]")
        for name in ("speed", "snr", "room", "level"):
            low, high = getattr(self, name)
            if not -np.inf < low <= high < np.inf:
                raise OptionError(f"{name} must ascend, got {low} to {high}")
        if self.speed[0] <= 0 or self.room[0] <= 0:
            raise OptionError(f"speed {self.speed} and room {self.room} must be above 0")
        edges = self.band
        if not 0 < edges[0] <= edges[1] < edges[2] <= edges[3]:
            raise OptionError(f"band must ascend from above 0 Hz, got {edges}")


def distorted(
    samples: np.ndarray, sample_rate: int, options: Distortion | None = None, *, name: str = "",
    number: int = 1, noises: Sequence[np.ndarray] = (), speech: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Return a distorted copy of a sound, (n_samples,) float32 in [-1, 1].

    The same arguments give the same copy. Its length changes with its speed.

    Parameters
    ----------
    name, number
        The utterance's id and the copy's number: they select what is drawn.
    noises, speech
        Noises, and other people's speech for babble, at the same rate; empty: computed noise only.

    Examples
    --------
    >>> tone = np.sin(np.arange(16_000, dtype=np.float32))
    >>> copy = distorted(tone, 16_000, Distortion(speed=(0.8, 0.8), speed_share=1.0))
    >>> len(copy), bool(np.abs(copy).max() <= 1)
    (20000, True)
    """
    options = options or Distortion()
    rng = np.random.default_rng([options.seed, number, zlib.crc32(name.encode())])
    x = samples.astype(np.float32)
    if rng.random() < options.speed_share:
        x = _at_speed(x, sample_rate, rng.uniform(*options.speed))
    if rng.random() < options.room_share:
        x = _in_room(x, sample_rate, rng.uniform(*options.room), rng)
    if rng.random() < options.band_share:
        low, high = rng.uniform(*options.band[:2]), rng.uniform(*options.band[2:])
        x = _filtered(x, sample_rate, low, high)
    x = x * np.float32(10 ** (rng.uniform(*options.level) / 20) / max(np.abs(x).max(), 1e-4))
    if rng.random() < options.noise_share and np.any(x):
        noise = _noise(len(x), sample_rate, noises, speech, rng)
        x = _limited(add_noise(x, noise, rng.uniform(*options.snr)), rng)
    return np.ascontiguousarray(x, np.float32)


def _limited(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring the mixture, which `add_noise` leaves at half of full scale, to a level of its own."""
    return x * np.float32(2 * 10 ** (rng.uniform(-20, -1) / 20))


def _at_speed(x: np.ndarray, sample_rate: int, speed: float) -> np.ndarray:
    import soxr

    return soxr.resample(x, sample_rate * speed, sample_rate).astype(np.float32)


def _in_room(
    x: np.ndarray, sample_rate: int, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    from scipy.signal import fftconvolve

    n = max(2, int(seconds * sample_rate))
    echo = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    echo *= rng.uniform(0.1, 0.5) / np.sqrt(np.sum(echo[1:] ** 2))
    echo[0] = 1.0
    return fftconvolve(x, echo)[: len(x)].astype(np.float32)


def _filtered(x: np.ndarray, sample_rate: int, low: float, high: float) -> np.ndarray:
    from scipy.signal import butter, sosfilt

    edges = [low, min(high, 0.48 * sample_rate)]
    return sosfilt(butter(2, edges, "band", fs=sample_rate, output="sos"), x).astype(np.float32)


def _noise(
    n: int, sample_rate: int, noises: Sequence[np.ndarray], speech: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw a noise: a given one in 55 %, a computed one in 25, babble in 20; or a mixture."""
    kind, both = rng.random(), rng.random() < 0.2
    if kind < 0.55 and noises:
        noise = _piece(noises, n, rng)
    elif kind >= 0.8 and speech:
        noise = np.sum([_unit(_piece(speech, n, rng)) for _ in range(rng.integers(2, 6))], axis=0)
    else:
        noise = computed_noise(n, sample_rate, rng)
    if both or not np.any(noise):
        noise = _unit(noise) + 0.7 * _unit(computed_noise(n, sample_rate, rng))
    return noise.astype(np.float32)


def _piece(sounds: Sequence[np.ndarray], n: int, rng: np.random.Generator) -> np.ndarray:
    piece = np.zeros(n, np.float32)
    for _ in range(TRIES):
        sound = sounds[int(rng.integers(len(sounds)))]
        if np.any(sound):
            piece = cut_from(sound, n, rng)
        if np.any(piece):
            break
    return piece


def _unit(x: np.ndarray) -> np.ndarray:
    return x / max(float(np.sqrt(np.mean(x**2))), 1e-6)


def computed_noise(n: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Compute n samples of white noise, coloured noise, hum, or a band that swells and fades."""
    from scipy.signal import butter, sosfilt

    kind, white, time = rng.integers(4), rng.standard_normal(n), np.arange(n) / sample_rate
    if kind == 1:
        spectrum = np.fft.rfft(white)
        spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** rng.uniform(0.3, 1.2)
        return np.fft.irfft(spectrum, n).astype(np.float32)
    if kind == 2:
        pitch = rng.choice([50, 60, 100, 120, 150, 240])
        waves = [rng.uniform(0.2, 1) / h * np.sin(2 * np.pi * (pitch * h * time + rng.random()))
                 for h in range(1, 9)]  # fmt: skip
        return (np.sum(waves, axis=0) + 0.05 * white).astype(np.float32)
    if kind == 3:
        low = rng.uniform(100, 0.18 * sample_rate)
        high = min(0.48 * sample_rate, low * rng.uniform(1.5, 4))
        filters = butter(2, [low, high], "band", fs=sample_rate, output="sos")
        swell = 1 + 0.9 * np.sin(2 * np.pi * (rng.uniform(0.3, 6) * time + rng.random()))
        return (sosfilt(filters, white) * swell).astype(np.float32)
    return white.astype(np.float32)
