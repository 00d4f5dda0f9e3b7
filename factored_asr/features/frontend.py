"""The front end: from samples to spectra, cepstra and features, of a whole sound or in chunks."""

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
    """A front end with its tables, which any number of sounds and threads may share.

    Frame t begins t frame shifts after the first sample. The samples left over at the end give
    one more frame, padded with zeros, as in Sphinx.

    `options` are its sizes and choices; default: the front end of the en-us model.

    Examples
    --------
    >>> front_end = FrontEnd(FeatureOptions(normalisation="none"))
    >>> front_end.features(np.zeros(16000, dtype=np.float32)).shape
    (99, 39)
    """

    def __init__(self, options: FeatureOptions | None = None):
        self.options = options or FeatureOptions()
        self.filters = mel_filters(self.options)
        """(n_bins, n_mels): from power spectra to mel powers."""
        self._transform = cepstral_transform(self.options)
        self._window = np.hamming(self.options.window_samples)
        self._blank_spectra = self._rounding_noise()
        self._kernels = delta_kernels(self.options)
        if self.options.enhancement == "mask":
            check_bands(self.options)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.options.shift_samples / self.options.sample_rate

    def powers(self, samples: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return power spectra and mel powers of a whole sound, with nothing taken off.

        They are (n_frames, n_bins) and (n_frames, n_mels), of samples on a 16-bit scale, without
        the frame that is padded. Samples and errors as for :meth:`cepstra`.
        """
        spectra = SpectrumStream(self).accept(as_samples(samples))
        return spectra, spectra @ self.filters

    def cepstra(self, samples: ArrayLike) -> Array:
        """Return static cepstra before normalisation, (n_frames, n_cepstra) of float32.

        Parameters
        ----------
        samples
            (n_samples,) of float in [-1, 1], or of int16, at the front end's sample rate.

        Raises FormatError for a sample that is not finite or far outside [-1, 1], OptionError for
        samples of another type or shape.
        """
        stream = CepstraStream(self)
        return np.concatenate([stream.accept(samples), stream.finish()])

    def features(self, samples: ArrayLike) -> Array:
        """Return normalised cepstra with deltas, (n_frames, n_features); see :meth:`cepstra`."""
        return self.features_from_cepstra(self.cepstra(samples))

    def features_from_cepstra(self, cepstra: ArrayLike) -> Array:
        """Return the same from static cepstra (n_frames, n_cepstra), such as a corpus may hold.

        Raises FormatError for a value that is not finite, OptionError for another shape.
        """
        return self.dynamic(normalise(self.checked_cepstra(cepstra), self.options))

    def checked_cepstra(self, cepstra: ArrayLike) -> Array:
        """Return static cepstra as (n_frames, n_cepstra) float32; errors as above."""
        static = np.asarray(cepstra, dtype=np.float32)
        if static.ndim != 2 or static.shape[1] != self.options.n_cepstra:
            raise OptionError(
                f"cepstra have shape {static.shape}, must be (n_frames, {self.options.n_cepstra})"
            )
        if not np.isfinite(static).all():
            frame, cepstrum = np.argwhere(~np.isfinite(static))[0]
            found = static[frame, cepstrum]
            raise FormatError(f"cepstrum {cepstrum} of frame {frame} is {found}, must be finite")
        return static

    def dynamic(self, cepstra: Array) -> Array:
        """Return deltas or splices of normalised cepstra, (n_frames, n_features) of float32."""
        if len(cepstra) == 0:
            return np.zeros((0, self.options.n_features), dtype=np.float32)
        around = self.options.lookahead
        padded = np.pad(cepstra, ((around, around), (0, 0)), mode="edge")
        return apply_kernels(padded, self._kernels)

    def stream(self, mean: NDArray[np.floating] | None = None) -> FeatureStream:
        """Begin an utterance whose samples, or cepstra, come in chunks.

        It takes off a running mean, unless normalisation is "none": `mean`, (n_cepstra,), is where
        that starts (default: the stored mean of the model).
        """
        return FeatureStream(self, mean)

    def spectra(self, emphasised: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
        """Return power spectra of the first frames of emphasised samples, (n_frames, n_bins)."""
        options = self.options
        if n_frames == 0:
            return np.zeros((0, options.n_fft // 2 + 1))
        frames = np.lib.stride_tricks.sliding_window_view(emphasised, options.window_samples)
        frames = frames[:: options.shift_samples][:n_frames]
        if options.remove_dc:
            frames = frames - frames.mean(axis=1, keepdims=True)
        spectra = np.fft.rfft(frames * self._window, n=options.n_fft, axis=1)
        return spectra.real**2 + spectra.imag**2

    def _rounding_noise(self) -> NDArray[np.float64]:
        """Return spectra of the noise of rounding to 16 bits, (BLANK_FRAMES, n_bins)."""
        n_samples = self.options.window_samples + (BLANK_FRAMES - 1) * self.options.shift_samples
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, n_samples + 1)
        return self.spectra(noise[1:] - self.options.preemphasis * noise[:-1], BLANK_FRAMES)


class SpectrumStream:
    """Power spectra of one sound, in chunks of any size."""

    def __init__(self, front_end: FrontEnd):
        self._front_end, self._options = front_end, front_end.options
        self._emphasis = float(np.float32(self._options.preemphasis))  # single as in Sphinx
        self._last = 0.0  # the sample before the next one
        self._waiting = np.zeros(0)  # emphasised samples from the start of the next frame on

    def accept(self, samples: Array) -> NDArray[np.float64]:
        """Return the spectra that these samples complete, (n_frames, n_bins)."""
        joined = np.append(self._last, samples.astype(np.float64) * INT16_SCALE)
        self._last = joined[-1]
        self._waiting = np.append(self._waiting, joined[1:] - self._emphasis * joined[:-1])
        shift, window = self._options.shift_samples, self._options.window_samples
        n_frames = max(0, (len(self._waiting) - window) // shift + 1)
        spectra = self._front_end.spectra(self._waiting, n_frames)
        self._waiting = self._waiting[n_frames * shift :].copy()
        return spectra

    def finish(self) -> NDArray[np.float64]:
        """Return the spectrum of the samples left over, padded with zeros; none without samples."""
        left, self._waiting = self._waiting, np.zeros(0)
        padded = np.pad(left, (0, self._options.window_samples - len(left)))
        return self._front_end.spectra(padded, min(len(left), 1))


class CepstraStream:
    """Static cepstra of one sound in chunks of any size; several `FeatureStream` may share it.

    Examples
    --------
    >>> stream = CepstraStream(FrontEnd())
    >>> frames = [stream.accept(np.zeros(n)) for n in (300, 8000)] + [stream.finish()]
    >>> [each.shape for each in frames]
    [(0, 13), (50, 13), (1, 13)]
    """

    def __init__(self, front_end: FrontEnd):
        self._front_end, options = front_end, front_end.options
        self._block = BLOCK_FRAMES * options.shift_samples
        self._spectra = SpectrumStream(front_end)
        self._mask = MaskStream(mask_of(options.mask)) if options.enhancement == "mask" else None
        self._noise = NoiseRemover(options.n_mels) if options.remove_noise else None
        self._n_frames = 0

    def accept(self, samples: ArrayLike) -> Array:
        """Return the frames that these samples complete, (k, n_cepstra)."""
        checked, block = as_samples(samples), self._block
        return np.concatenate([
            self._cepstra(self._spectra.accept(checked[at : at + block]))
            for at in range(0, max(len(checked), 1), block)
        ])  # fmt: skip

    def finish(self) -> Array:
        """Return the frames still waiting, and one padded with zeros; none without samples."""
        last = self._cepstra(self._spectra.finish())
        if self._mask is None:
            return last
        return np.concatenate([last, self._end(self._mask.finish())])

    def _cepstra(self, spectra: NDArray[np.float64]) -> Array:
        # Gates and networks put zeros in place of sound. The spectrum of nothing is unlike
        # everything that a model was trained on, and would fit some phone better than silence.
        blank = np.flatnonzero(~spectra.any(axis=1))
        noise = self._front_end._blank_spectra
        spectra[blank] = noise[(self._n_frames + blank) % len(noise)]
        self._n_frames += len(spectra)
        powers = spectra @ self._front_end.filters
        return self._end(powers if self._mask is None else self._mask.accept(spectra, powers))

    def _end(self, powers: NDArray[np.float64]) -> Array:
        if self._noise is not None:
            powers = self._noise(powers)
        return (np.log(powers + LOG_FLOOR) @ self._front_end._transform).astype(np.float32)


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
        """(n_cepstra,): the running mean so far; None where no mean is taken off."""
        return None if self._running is None else self._running.mean

    def accept(self, samples: ArrayLike) -> Array:
        """Take samples (any number, may be none); return the features that are ready.

        Raises FormatError for a sample that is not finite, OptionError once the stream is finished.
        """
        return self.accept_cepstra(self._cepstra.accept(samples))

    def accept_cepstra(self, cepstra: Array) -> Array:
        """Take static cepstra, (k, n_cepstra), of a stream of cepstra that others share."""
        if self._finished:
            raise OptionError("the stream is finished: an utterance more needs a stream more")
        if len(cepstra) == 0:
            return np.zeros((0, self._front_end.options.n_features), dtype=np.float32)
        if self._running is not None:
            cepstra = self._running(cepstra)
        if self._waiting is None:
            self._waiting = cepstra[:1].repeat(self._around, axis=0)
        joined = np.concatenate([self._waiting, cepstra])
        self._waiting = joined[max(0, len(joined) - 2 * self._around) :].copy()
        return apply_kernels(joined, self._front_end._kernels)

    def finish(self) -> Array:
        """End the utterance; return the features still waiting, (k, n_features)."""
        ready = self.accept_cepstra(self._cepstra.finish())
        self._finished = True
        if self._waiting is None:
            return ready
        rest = np.concatenate([self._waiting, self._waiting[-1:].repeat(self._around, axis=0)])
        return np.concatenate([ready, apply_kernels(rest, self._front_end._kernels)])
