"""The sounds of a comparison, with their texts or meanings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.audio.reading import read_audio
from factored_asr.compare.adapters import SAMPLE_RATE
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance, read_samples
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.evaluation.transcript_files import Meaning
from factored_asr.storage.reading import read_json


@dataclass(frozen=True)
class Item:
    """One sound with its reference."""

    name: str
    """Unique; it is the seed for the place in the noise."""
    utterance: Utterance
    meaning: Meaning | None = None
    """Meaning of a command; None: words are scored."""

    @property
    def text(self) -> str:
        """The reference text."""
        return self.utterance.text

    def samples(self) -> np.ndarray:
        """Return the samples, (n_samples,) float32 at `SAMPLE_RATE`."""
        if self.utterance.kind != "audio":
            raise FormatError("systems need sound, not features", self.utterance.path)
        return read_samples(self.utterance, SAMPLE_RATE)


def read_spoken(corpus: str | Path, layout: str = "auto") -> tuple[Item, ...]:
    """Return the utterances of a corpus that have a text; MissingError without any."""
    items = tuple(Item(u.id, u) for u in Corpus.read(corpus, layout) if u.words)
    if not items:
        raise MissingError(f"{corpus}: no utterance has a text; for commands, give their labels")
    return items


def read_labelled(folder: str | Path, labels: str | Path) -> tuple[Item, ...]:
    """Return the labelled commands of a folder, sorted by name.

    The labels are a JSON object: file name → ``{"intent": ..., "slots": {name: value}}``; an intent
    of null is a sound without a command. MissingError if a sound is missing, FormatError if the
    labels are not of this form.
    """
    file, folder = Path(labels), Path(folder)
    content = read_json(file)
    if not isinstance(content, dict) or not content:
        raise FormatError("must be an object of file names with their labels", file)
    items = []
    for name, label in sorted(content.items()):
        slots = label.get("slots", {}) if isinstance(label, dict) else None
        if not isinstance(slots, dict) or "intent" not in label:
            raise FormatError(f"{name!r} must have an intent, and slots as an object", file)
        path = folder / name
        if not path.is_file():
            raise MissingError(f"{path}: there is no such sound, {file} names it")
        meaning = Meaning(str(label["intent"] or ""), {k: str(v) for k, v in slots.items()})
        utterance = Utterance(name, str(label.get("speaker", "")), (), path)
        items.append(Item(name, utterance, meaning))
    return tuple(items)


def read_noise(path: str | Path) -> np.ndarray:
    """Return the samples of noise, (n_samples,) float32 at `SAMPLE_RATE`."""
    return read_audio(path, sample_rate=SAMPLE_RATE)[0]


def conditions(snrs: str, with_noise: bool) -> tuple[float, ...]:
    """Parse different signal-to-noise ratios in decibels, infinity for clean sound; else raise
    OptionError.

    Examples
    --------
    >>> conditions("clean,24,6", with_noise=True)
    (inf, 24.0, 6.0)
    """
    found: list[float] = []
    for name in filter(None, (part.strip() for part in snrs.split(","))):
        try:
            value = float("inf") if name == "clean" else float(name)
        except ValueError:
            value = float("nan")
        if value != value or value in found or (name != "clean" and abs(value) == float("inf")):
            raise OptionError(f"SNRs are clean or decibels, each once, with commas; got {snrs!r}")
        found.append(value)
    if not with_noise and any(value != float("inf") for value in found):
        raise OptionError("an SNR needs a file of noise")
    return tuple(found) or (float("inf"),)


def condition_name(snr: float) -> str:
    """Return ``clean``, or decibels such as ``6 dB``."""
    return "clean" if snr == float("inf") else f"{snr:g} dB"
