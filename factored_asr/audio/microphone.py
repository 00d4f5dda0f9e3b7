"""Sound as it comes: another rate, and a microphone."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import numpy as np
import soxr

from factored_asr.audio.reading import check_rate
from factored_asr.errors import MissingError, OptionError

BLOCK_SECONDS = 0.1
MAX_WAITING = 600  # blocks that wait to be taken; later ones are lost


class Resampler:
    """Changes the rate of sound that comes in chunks of any size; not for several threads.

    Examples
    --------
    >>> resampler = Resampler(48_000, 16_000)
    >>> sum(len(resampler(np.zeros(4800, np.float32))) for _ in range(10)) + len(resampler.rest())
    16000
    """

    def __init__(self, rate: int, wanted: int):
        check_rate(None, rate)
        self._rates = rate, wanted
        self.rest()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Take (n_samples,) float32 of the one rate; return what is ready of the other."""
        ready: np.ndarray = self._stream.resample_chunk(samples) if self._stream else samples
        return ready

    def rest(self) -> np.ndarray:
        """Return what is left at the end, and begin again."""
        rate, wanted = self._rates
        before = getattr(self, "_stream", None)
        left = np.zeros(0, np.float32)
        if before is not None:
            left = before.resample_chunk(left, last=True)
        new = soxr.ResampleStream(rate, wanted, 1, dtype="float32") if rate != wanted else None
        self._stream: soxr.ResampleStream | None = new
        return left


def microphone(device: int | str | None = None, rate: int | None = None) -> Microphone:
    """Open a microphone.

    Parameters
    ----------
    device
        Its number or a part of its name, as ``python -m sounddevice`` lists them; None: the
        system's own.
    rate
        Hz; None: the device's own.

    Raises
    ------
    MissingError
        The package sounddevice, or its library PortAudio, is not installed.
    OptionError
        There is no such device, or it cannot be opened.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        remedy = "pip install 'factored_asr[listen]'; on Linux also apt install libportaudio2"
        raise MissingError(f"a microphone needs sounddevice ({error}): {remedy}") from None
    waiting = queue.Queue[np.ndarray](MAX_WAITING)

    def take(block: np.ndarray, *_: object) -> None:
        if not waiting.full():
            waiting.put_nowait(block[:, 0].copy())

    try:
        found = sounddevice.query_devices(device, "input")
        rate = rate or int(found["default_samplerate"])
        stream = sounddevice.InputStream(
            rate, round(rate * BLOCK_SECONDS), device, channels=1, dtype="float32", callback=take)
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OptionError(f"the microphone {device or ''} cannot be opened: {error}") from None
    return Microphone(stream, rate, waiting)


class Microphone:
    """An open microphone: blocks of (n_samples,) float32 until it is closed."""

    def __init__(self, stream: object, rate: int, waiting: queue.Queue[np.ndarray]):
        self.rate = rate
        self._stream, self._waiting, self._closed = stream, waiting, False

    def __iter__(self) -> Iterator[np.ndarray]:
        while not self._closed:
            try:
                yield self._waiting.get(timeout=10 * BLOCK_SECONDS)
            except queue.Empty:
                continue

    def close(self) -> None:
        """Stop; blocks that wait are dropped."""
        self._closed = True
        self._stream.close()  # type: ignore[attr-defined]
