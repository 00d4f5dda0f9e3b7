"""From samples to features, of a whole utterance or of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factored_asr.audio.reading import as_samples
from factored_asr.errors import FormatError, OptionError
from factored_asr.features.deltas import apply_kernels, delta_kernels
from factored_asr.features.mask import MaskStream, check_bands, mask_of
from factored_asr.features.mel import cepstral_transform, mel_filters
from factored_asr.features.noise import NoiseRemover
from factored_asr.features.normalisation import RunningMean, normalise
from factored_asr.features.options import FeatureOptions

Array = NDArray[np.float32]

INT16_SCALE = 32768.0  # Sphinx's front end sees samples as 16-bit integers
LOG_FLOOR = 1e-4  # added to mel powers on that scale before the logarithm
BLANK_FRAMES = 256  # of rounding noise, then it repeats
BLOCK_FRAMES = 1000  # worked on at once: memory stays small on an hour of audio


class FrontEnd:
    """Computes features; holds its tables and nothing of what it has heard.

    Frame t begins t frame shifts after the first sample. The samples left over at the end give
    one more frame, filled up with zeros, as in Sphinx.

    Parameters
    ----------
    options
        Sizes and choices; the front end of the en-us model where not given.

    Examples
    --------
    >>> front_end = FrontEnd(FeatureOptions(normalisation="none"))
    >>> front_end.features(np.zeros(16000, dtype=np.float32)).shape
    (99, 39)
    """

    def __init__(self, options: FeatureOptions | None = None):
        self.options = options or FeatureOptions()
        self._filters = mel_filters(self.options)
        self._transform = cepstral_transform(self.options)
        self._window = np.hamming(self.options.window_samples)
        self._blank_spectra = self._rounding_noise()
        self._kernels = delta_kernels(self.options)
        if self.options.enhancement == "mask":
            check_bands(self.options)

    @property
    def n_features(self) -> int:
        """Values a frame."""
        return self.options.n_features

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.options.shift_samples / self.options.sample_rate

    def cepstra(self, samples: ArrayLike) -> Array:
        """Static cepstra before normalisation.

        Parameters
        ----------
        samples
            (n_samples,) of float in [-1, 1], or of int16, at the front end's sample rate.

        Returns
        -------
        (n_frames, n_cepstra) of float32.

        Raises
        ------
        FormatError
            A sample is not finite, or far outside [-1, 1].
        OptionError
            The samples are of another type or shape.
        """
        stream = CepstraStream(self)
        return np.concatenate([stream.accept(samples), stream.finish()])

    def powers(self, samples: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Power spectra and mel powers of a whole sound, before anything is taken off them.

        Parameters and errors as for :meth:`cepstra`.

        Returns
        -------
        (n_frames, n_bins) and (n_frames, n_mels), of samples on a 16-bit scale; without the
        frame that is filled up.
        """
        scaled = as_samples(samples).astype(np.float64) * INT16_SCALE
        emphasised = scaled - self.options.preemphasis * np.concatenate([[0.0], scaled[:-1]])
        window, shift = self.options.window_samples, self.options.shift_samples
        spectra = self._spectra(emphasised, max(0, (len(scaled) - window) // shift + 1))
        return spectra, spectra @ self._filters

    def features(self, samples: ArrayLike) -> Array:
        """Normalised cepstra with deltas, (n_frames, n_features) of float32, of an utterance.

        Parameters and errors as for :meth:`cepstra`.
        """
        return self.features_from_cepstra(self.cepstra(samples))

    def features_from_cepstra(self, cepstra: ArrayLike) -> Array:
        """The same from static cepstra (n_frames, n_cepstra), such as a corpus may come as.

        Raises
        ------
        FormatError
            A value is not finite.
        OptionError
            The cepstra have another shape.
        """
        static = np.asarray(cepstra, dtype=np.float32)
        if static.ndim != 2 or static.shape[1] != self.options.n_cepstra:
            raise OptionError(
                f"cepstra have shape {static.shape}, must be (n_frames, {self.options.n_cepstra})"
            )
        if not np.isfinite(static).all():
            frame, cepstrum = np.argwhere(~np.isfinite(static))[0]
            raise FormatError(
                f"cepstrum {cepstrum} of frame {frame} is {static[frame, cepstrum]}, "
                "must be finite"
            )
        return self._with_deltas(normalise(static, self.options))

    def stream(self, mean: NDArray[np.floating] | None = None) -> FeatureStream:
        """Begins an utterance whose samples come bit by bit.

        A stream cannot know the mean of what is still to be said, so it takes off a running one,
        unless normalisation is "none".

        Parameters
        ----------
        mean
            (n_cepstra,) where the running mean starts; the model's stored one where None.
        """
        return FeatureStream(self, mean)

    def _with_deltas(self, cepstra: Array) -> Array:
        if len(cepstra) == 0:
            return np.zeros((0, self.n_features), dtype=np.float32)
        around = self.options.lookahead
        padded = np.pad(cepstra, ((around, around), (0, 0)), mode="edge")
        return apply_kernels(padded, self._kernels)

    def _spectra(self, emphasised: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
        """Power spectra of the first frames in pre-emphasised samples, (n_frames, n_bins)."""
        options = self.options
        frames = np.lib.stride_tricks.sliding_window_view(emphasised, options.window_samples)
        frames = frames[:: options.shift_samples][:n_frames]
        if options.remove_dc:
            frames = frames - frames.mean(axis=1, keepdims=True)
        spectra = np.fft.rfft(frames * self._window, n=options.n_fft, axis=1)
        return spectra.real**2 + spectra.imag**2

    def _rounding_noise(self) -> NDArray[np.float64]:
        """Spectra of what rounding to 16 bits adds to a sound, (BLANK_FRAMES, n_bins)."""
        n_samples = self.options.window_samples + (BLANK_FRAMES - 1) * self.options.shift_samples
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, n_samples + 1)
        return self._spectra(noise[1:] - self.options.preemphasis * noise[:-1], BLANK_FRAMES)


class CepstraStream:
    """Static cepstra of one utterance, in chunks of any size."""

    def __init__(self, front_end: FrontEnd):
        self._front_end = front_end
        self._options = front_end.options
        self._noise = NoiseRemover(self._options.n_mels) if self._options.remove_noise else None
        masked = self._options.enhancement == "mask"
        self._mask = MaskStream(mask_of(self._options.mask)) if masked else None
        # Sphinx holds it in single precision
        self._emphasis = float(np.float32(self._options.preemphasis))
        self._last = 0.0  # the sample before the next one
        self._waiting = np.zeros(0)  # emphasised samples from the start of the next frame on
        self._n_frames = 0

    def accept(self, samples: ArrayLike) -> Array:
        """The frames that these samples complete."""
        checked = as_samples(samples)
        block = BLOCK_FRAMES * self._options.shift_samples
        pieces = [self._advance(checked[at : at + block]) for at in range(0, len(checked), block)]
        return np.concatenate([self._empty(), *pieces])

    def finish(self) -> Array:
        """The frames still waiting, and one filled up with zeros; none where nothing was
        accepted."""
        if len(self._waiting) == 0:
            return self._empty()
        filled = np.zeros(self._options.window_samples)
        filled[: len(self._waiting)] = self._waiting
        self._waiting = np.zeros(0)
        last = self._cepstra(filled, 1)
        if self._mask is None:
            return last
        return np.concatenate([last, self._end(self._mask.finish())])

    def _advance(self, samples: Array) -> Array:
        scaled = samples.astype(np.float64) * INT16_SCALE
        before = np.concatenate([[self._last], scaled[:-1]])
        self._last = scaled[-1]
        self._waiting = np.concatenate([self._waiting, scaled - self._emphasis * before])
        shift, window = self._options.shift_samples, self._options.window_samples
        n_frames = max(0, (len(self._waiting) - window) // shift + 1)
        if n_frames == 0:
            return self._empty()
        cepstra = self._cepstra(self._waiting, n_frames)
        self._waiting = self._waiting[n_frames * shift :].copy()
        return cepstra

    def _cepstra(self, emphasised: NDArray[np.float64], n_frames: int) -> Array:
        spectra = self._front_end._spectra(emphasised, n_frames)
        # Gates and networks put zeros in place of sound. The spectrum of nothing is like nothing
        # that a model was trained on, and would fit some phone better than silence.
        blank = np.flatnonzero(~spectra.any(axis=1))
        noise = self._front_end._blank_spectra
        spectra[blank] = noise[(self._n_frames + blank) % len(noise)]
        self._n_frames += n_frames
        powers = spectra @ self._front_end._filters
        return self._end(powers if self._mask is None else self._mask.accept(spectra, powers))

    def _end(self, powers: NDArray[np.float64]) -> Array:
        if self._noise is not None:
            powers = self._noise(powers)
        return (np.log(powers + LOG_FLOOR) @ self._front_end._transform).astype(np.float32)

    def _empty(self) -> Array:
        return np.zeros((0, self._options.n_cepstra), dtype=np.float32)


class FeatureStream:
    """Features of one utterance while it is spoken.

    The deltas of a frame need the frames after it, so features come a few frames late
    (``options.lookahead``); :meth:`finish` gives the rest. Chunks of any size give the same
    features but for rounding.

    Examples
    --------
    >>> stream = FrontEnd().stream()
    >>> len(stream.accept(np.zeros(8000))), len(stream.accept(np.zeros(8000))), len(stream.finish())
    (45, 50, 4)
    """

    def __init__(self, front_end: FrontEnd, mean: NDArray[np.floating] | None = None):
        self._front_end = front_end
        self._cepstra = CepstraStream(front_end)
        running = front_end.options.normalisation != "none"
        self._running = RunningMean(front_end.options, mean) if running else None
        self._around = front_end.options.lookahead
        self._waiting: Array | None = None  # normalised cepstra, once the first one is there
        self._finished = False

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """(n_cepstra,): the running mean as it stands; None where nothing is taken off."""
        return None if self._running is None else self._running.mean

    def accept(self, samples: ArrayLike) -> Array:
        """Takes samples (any number, may be none); gives the features that are ready.

        Raises
        ------
        FormatError
            A sample is not finite.
        OptionError
            The stream is finished already.
        """
        if self._finished:
            raise OptionError("the stream is finished: an utterance more needs a stream more")
        return self._advance(self._cepstra.accept(samples))

    def finish(self) -> Array:
        """Ends the utterance; gives the features still waiting, (k, n_features)."""
        if self._finished:
            raise OptionError("the stream is finished already")
        self._finished = True
        ready = self._advance(self._cepstra.finish())
        if self._waiting is None:
            return ready
        rest = np.concatenate([self._waiting, self._waiting[-1:].repeat(self._around, axis=0)])
        return np.concatenate([ready, apply_kernels(rest, self._front_end._kernels)])

    def _advance(self, cepstra: Array) -> Array:
        if len(cepstra) == 0:
            return np.zeros((0, self._front_end.n_features), dtype=np.float32)
        if self._running is not None:
            cepstra = self._running(cepstra)
        if self._waiting is None:
            self._waiting = cepstra[:1].repeat(self._around, axis=0)
        joined = np.concatenate([self._waiting, cepstra])
        self._waiting = joined[max(0, len(joined) - 2 * self._around) :].copy()
        return apply_kernels(joined, self._front_end._kernels)
