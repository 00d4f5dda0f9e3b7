"""Wake words in a client's live sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.network import NetworkModel
from factored_asr.detectors import Detection, KeywordDetector
from factored_asr.detectors.detection import Listener
from factored_asr.server.live import Incoming
from factored_asr.server.options import RefusedError
from factored_asr.server.pools import Pools


@dataclass(frozen=True, eq=False)
class WakeWords:
    """What a server listens for; connections and threads share it."""

    model: NetworkModel
    """Computes the frames."""
    detector: KeywordDetector
    """Finds the phrases."""

    @property
    def names(self) -> tuple[str, ...]:
        """The phrases."""
        return tuple(self.detector.keywords)

    def chosen(self, names: object) -> frozenset[str]:
        """Return the names that a client asks for, all if none; RefusedError for others."""
        wanted = names or list(self.names)
        if not isinstance(wanted, list) or not set(map(str, wanted)) <= set(self.names):
            raise RefusedError(400, "unknown_wake_word", f"wake words must be of "
                               f"{', '.join(self.names)}, got {wanted!r:.80}", "names")
        return frozenset(wanted)

    def warm_up(self) -> None:
        """Listen to some silence, so that the first client does not wait."""
        Listener(self.model, [self.detector]).accept(np.zeros(self.model.sample_rate, np.float32))


class Watch:
    """Samples of one client, 16 bits, mono, in chunks of any size, in which phrases are looked for.

    Nothing of the sound is kept but the last seconds, so it may be of any length.
    """

    def __init__(self, pools: Pools, words: WakeWords, names: Sequence[str] | frozenset[str],
                 rate: int):
        self._sound = Incoming(rate, words.model.sample_rate)
        self._pools, self._names = pools, names
        self._listener = Listener(words.model, [words.detector])
        self.found = False
        """Something was found."""

    async def accept(self, data: bytes) -> list[Detection]:
        """Take the next bytes; return what is found."""
        found: list[Detection] = []
        for block in self._sound.blocks(data):
            found += self._chosen(await self._pools.decode(self._heard, block))
        return found

    async def finish(self) -> list[Detection]:
        """End the sound; return what is left to be told."""
        return self._chosen(await self._pools.decode(self._ended, self._sound.rest()))

    def _chosen(self, found: list[Detection]) -> list[Detection]:
        chosen = [each for each in found if each.name in self._names]
        self.found = self.found or bool(chosen)
        return chosen

    def _heard(self, block: bytes) -> list[Detection]:
        return self._listener.accept(self._sound.samples(block))

    def _ended(self, rest: bytes) -> list[Detection]:
        return self._listener.accept(self._sound.samples(rest, last=True)) + self._listener.finish()
