"""Synthetic speech of five phones, each a pair of tones, and a lexicon of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from factored_asr.lexicon import Lexicon, Pronunciation

PHONES = ("A", "B", "C", "D", "E")
RATE = 16000  # Hz
TONES = {phone: (300.0 + 200.0 * i, 1500.0 + 200.0 * i) for i, phone in enumerate(PHONES)}  # Hz
LEXICON = Lexicon({
    "bad": (Pronunciation(("B", "A", "D")),), "dad": (Pronunciation(("D", "A", "D")),),
    "ace": (Pronunciation(("A", "C")),), "a": (Pronunciation(("A",)),),
    "bee": (Pronunciation(("B", "E")),), "deed": (Pronunciation(("D", "E", "E", "D")),),
})  # fmt: skip


def speak(
    phones: Sequence[str], seconds: float = 0.2, gap: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Say phones, each for `seconds`, with silences of `gap` seconds between; "" is a silence."""
    rng, parts = np.random.default_rng(seed), []
    time = np.arange(round(seconds * RATE)) / RATE
    for phone in phones:
        tones = TONES.get(phone, ())
        parts.append(sum((0.2 * np.sin(2 * np.pi * f * time) for f in tones), 0.0 * time))
        parts.append(np.zeros(round(gap * RATE)))
    sound = np.concatenate([np.zeros(0), *parts])
    return (sound + 1e-3 * rng.normal(size=len(sound))).astype(np.float32)


def say(words: str, **how: Any) -> np.ndarray:
    """Say words with silences around and between them."""
    spoken = [[*LEXICON.find(word)[0].phones, ""] for word in words.split()]
    return speak(["", *(phone for phones in spoken for phone in phones)], **how)


def syllables(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Bursts of voiced sound over a quiet room, three a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    rhythm = np.maximum(0, np.sin(2 * np.pi * 3 * time))
    noise = rng.normal(size=len(time))
    return (0.1 * voice * rhythm + 0.02 * noise * rhythm + 0.0005 * noise).astype(np.float32)
