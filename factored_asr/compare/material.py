"""What systems are compared on: sounds with what is said in them, or what it is to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """One sound, and the truth about it."""

    name: str
    """Unique; it seeds the place in the noise."""
    utterance: Utterance
    meaning: Meaning | None = None
    """What it asks for; None where its words are what counts."""

    @property
    def text(self) -> str:
        """What is said."""
        return self.utterance.text

    def samples(self) -> np.ndarray:
        """(n_samples,) of float32 at `SAMPLE_RATE`.

        Raises
        ------
        MissingError, FormatError
            There is no such sound, or it cannot be read.
        """
        if self.utterance.kind != "audio":
            raise FormatError("systems hear sound, not cepstra", self.utterance.path)
        return read_samples(self.utterance, SAMPLE_RATE)


def read_spoken(corpus: str | Path, layout: str = "auto") -> tuple[Item, ...]:
    """The utterances of a corpus that has texts; see `Corpus.read`.

    Raises
    ------
    MissingError
        No utterance of the corpus has a text.
    """
    items = tuple(Item(u.id, u) for u in Corpus.read(corpus, layout) if u.words)
    if not items:
        raise MissingError(f"{corpus}: no utterance has a text; for commands, name their labels")
    return items


def read_labelled(folder: str | Path, labels: str | Path) -> tuple[Item, ...]:
    """Spoken commands, by name.

    Parameters
    ----------
    folder
        Where the sounds lie.
    labels
        A JSON object: file name → ``{"intent": ..., "slots": {name: value}}``; an intent of null
        where nothing is asked for.

    Raises
    ------
    MissingError
        There is no such file, or a sound is not in the folder.
    FormatError
        The labels are not of this form.
    """
    file, folder = Path(labels), Path(folder)
    content = read_json(file)
    if not isinstance(content, dict) or not content:
        raise FormatError("must be an object of file names with their labels", file)
    return tuple(_labelled(folder, name, content[name], file) for name in sorted(content))


def _labelled(folder: Path, name: str, label: Any, file: Path) -> Item:
    slots = label.get("slots", {}) if isinstance(label, dict) else None
    if not isinstance(slots, dict) or "intent" not in label:
        raise FormatError(f"{name!r} must have an intent, and slots as an object", file)
    path = folder / name
    if not path.is_file():
        raise MissingError(f"{path}: there is no such sound, {file} names it")
    meaning = Meaning(str(label["intent"] or ""), {k: str(v) for k, v in slots.items()})
    return Item(name, Utterance(name, str(label.get("speaker", "")), (), path), meaning)


def read_noise(path: str | Path) -> np.ndarray:
    """Noise to mix speech into, (n_samples,) of float32 at `SAMPLE_RATE`."""
    return read_audio(path, sample_rate=SAMPLE_RATE)[0]


def conditions(snrs: str, with_noise: bool) -> tuple[float, ...]:
    """Signal-to-noise ratios in decibels, infinity for clean sound.

    Examples
    --------
    >>> conditions("clean,24,6", with_noise=True)
    (inf, 24.0, 6.0)

    Raises
    ------
    OptionError
        One is neither ``clean`` nor a number, is there twice, or asks for noise there is none of.
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
        raise OptionError("an SNR asks for a file of noise")
    return tuple(found) or (float("inf"),)


def condition_name(snr: float) -> str:
    """``clean``, or decibels.

    Examples
    --------
    >>> condition_name(float("inf")), condition_name(6.0)
    ('clean', '6 dB')
    """
    return "clean" if snr == float("inf") else f"{snr:g} dB"
