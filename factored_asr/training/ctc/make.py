"""From a corpus to a network with a head of its own, on disk."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.network import NetworkModel, read_encoder
from factored_asr.acoustic.network.encoder import FIELD, HOP, SAMPLE_RATE, Encoder
from factored_asr.acoustic.network.head import BLANK, Head
from factored_asr.acoustic.network.windows import BEFORE
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import OptionError
from factored_asr.language import read_lm
from factored_asr.lexicon import Lexicon
from factored_asr.models.en_us_network import NETWORK_DICTATION, NETWORK_UNTAUGHT
from factored_asr.models.folder import About, check_target, write_model
from factored_asr.training.ctc.network import (
    CtcOptions,
    HeadReport,
    log_probs_of,
    phone_error_rate,
    torch_module,
    train_head,
)
from factored_asr.training.ctc.states import CopyOptions, States, encode
from factored_asr.training.ctc.teacher import AgreementOptions, LeftOut, Teacher, taught
from factored_asr.training.ctc.variants import Variants, variants_of


@dataclass(frozen=True)
class HeadOptions:
    """How a head is made of a corpus."""

    ctc: CtcOptions = CtcOptions()
    """The training."""
    copies: CopyOptions = CopyOptions()
    """Distorted copies of the utterances."""
    agreement: AgreementOptions = AgreementOptions()
    """Which utterances of a teacher are kept."""
    jobs: int = 1
    """Processes that compute the encoder's states."""
    origin: str = ""
    """Where the corpus comes from, for the manifest."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Of the corpus and the lexicon."""


@dataclass(frozen=True)
class MadeHead:
    """A new model on disk."""

    folder: Path
    head: Head
    utterances: int
    """Utterances it was trained on."""
    taught: int
    """How many of them have a teacher's words."""
    phone_errors: float | None
    """Per cent on the held-out utterances, without lexicon and language model; None: there are
    none."""


@dataclass(frozen=True)
class HeadListener:
    """Progress callbacks; None disables one."""

    states: Callable[[int, int], None] | None = None
    """Called with blocks of utterances encoded, and blocks in all."""
    passes: Callable[[HeadReport], None] | None = None
    """Called after each pass."""
    left_out: Callable[[str], None] | None = None
    """Called with each utterance that cannot be used, and why."""


@dataclass(frozen=True)
class Encoded:
    """An encoder and which of its states are kept; see `Encoding`."""

    encoder: Encoder = field(repr=False)
    layers: tuple[int, ...]
    sample_rate: int = SAMPLE_RATE

    def states(self, samples: np.ndarray) -> np.ndarray:
        """Return the states of a whole sound side by side, (n_frames, 288 · n_layers) float32.

        Frames stand where the recogniser has them: one for each 24 ms begun.
        """
        n_frames = max(1, -(-len(samples) // HOP))
        after = max(0, (n_frames - 1) * HOP + FIELD - BEFORE - len(samples))
        hidden = self.encoder(np.pad(samples.astype(np.float32), (BEFORE, after)))
        return np.concatenate([hidden[layer] for layer in self.layers], axis=1)


def make_head_model(
    corpus: Corpus, lexicon: Lexicon, output: str | Path, *, held_out: Corpus | None = None,
    untranscribed: Sequence[str | Path] = (), teacher: Teacher | None = None,
    noises: Sequence[np.ndarray] = (), lm: str | Path | None = None,
    options: HeadOptions | None = None, checkpoints: str | Path | None = None,
    listener: HeadListener | None = None, encoder: Encoder | None = None,
) -> MadeHead:
    """Train a head on transcribed speech, and write a model that loads like any other.

    With a teacher a first head is trained on the corpus; it selects utterances of the untranscribed
    sounds, and the head that is written is trained on these, too.

    Parameters
    ----------
    lexicon
        A pronunciation for every word; stress digits are ignored. It is written with the model.
    held_out
        Utterances to count phone errors on; None: none are counted.
    untranscribed, teacher
        Sounds without texts, and a recogniser that gives them.
    noises
        Sounds at 16 kHz to mix speech with.
    lm
        A language model, which is copied to the model.
    checkpoints
        A folder for the encoder's states and the state of training, by which an interrupted
        training resumes; None: a folder next to the output, which is deleted at the end.
    encoder
        The frozen encoder; None: that of `read_encoder`.

    Raises OptionError if the output is there and no model, or teacher or sounds are there without
    the other. Raises MissingError without torch, the encoder or the language model's file, and
    FormatError if that is broken.
    """
    options, listener, output = options or HeadOptions(), listener or HeadListener(), Path(output)
    if bool(untranscribed) != (teacher is not None):
        raise OptionError("a teacher needs untranscribed speech, and this needs a teacher")
    torch_module()
    check_target(output)
    if lm is not None:
        read_lm(lm)  # one that is missing or broken is to be refused before hours of training
    lexicon = lexicon.strip_stress()
    kept = output.with_name(f"{output.name}.training") if checkpoints is None else Path(checkpoints)
    work = _Work(
        Encoded(encoder or read_encoder(), options.ctc.encoder_layers), lexicon,
        tuple(p for p in _phones(lexicon)), tuple(noises), options, kept, listener,
    )
    states = work.states(corpus)
    head, n_taught = work.head(states, "head"), 0
    if teacher is not None:
        more = work.taught(head, teacher, untranscribed)
        n_taught = len(more)
        if n_taught:
            states += work.states(more)
            head = work.head(states, "taught")
    rate = None
    if held_out is not None and len(held_out):
        measured = work.states(held_out, copies=0)
        rate = phone_error_rate(head, measured, work.variants(measured))
    model = NetworkModel(work.encoded.encoder, head)
    write_model(output, model, lexicon=lexicon, lm=lm,
                about=_about(corpus.name, options, len(states), n_taught, rate))
    if checkpoints is None:
        shutil.rmtree(kept, ignore_errors=True)
    return MadeHead(output, head, len(states), n_taught, rate)


@dataclass(frozen=True)
class _Work:
    """What the steps of making a head share."""

    encoded: Encoded
    lexicon: Lexicon
    phones: tuple[str, ...]
    noises: tuple[np.ndarray, ...]
    options: HeadOptions
    folder: Path
    listener: HeadListener

    def states(self, corpus: Corpus, copies: int | None = None) -> States:
        """Encode a corpus, its copies as well."""
        chosen = self.options.copies
        if copies is not None:
            chosen = CopyOptions(copies, chosen.distortion)
        found = encode(
            corpus.utterances, self.encoded, self.folder / "states", chosen, noises=self.noises,
            jobs=self.options.jobs, tick=self.listener.states,
        )
        if left_out := self.listener.left_out:
            for line in found.skipped:
                left_out(line)
        return found

    def variants(self, states: States) -> list[Variants]:
        """Return the pronunciations of each utterance's words."""
        outputs = (BLANK, *self.phones)
        return [variants_of(each.words, self.lexicon, outputs) for each in states.utterances]

    def head(self, states: States, name: str) -> Head:
        """Train a head on the states; `name` is that of its checkpoint."""
        variants, ctc = self.variants(states), self.options.ctc
        return train_head(
            states, variants, self.phones, ctc, key=_key(states, variants, ctc),
            checkpoint=self.folder / f"{name}.pt", report=self.listener.passes,
        )

    def taught(self, head: Head, teacher: Teacher, sounds: Sequence[str | Path]) -> Corpus:
        """Return the untranscribed sounds on which the teacher and a head agree."""

        def student(samples: np.ndarray) -> np.ndarray:
            return log_probs_of(head, self.encoded.states(samples))

        def left_out(path: Path, why: str) -> None:
            if self.listener.left_out:
                self.listener.left_out(f"{path}: {why}")

        tell: LeftOut = left_out
        return taught(sounds, teacher, student, self.lexicon, (BLANK, *self.phones), SAMPLE_RATE,
                      self.options.agreement, tell)


def _phones(lexicon: Lexicon) -> tuple[str, ...]:
    """Return the phones of the words, sorted; those of noises have no output."""
    return tuple(sorted({p for ways in lexicon.values() for way in ways for p in way.phones}))


def _key(states: States, variants: Sequence[Variants], options: CtcOptions) -> str:
    """Return a digest of what a head is trained on."""
    total = hashlib.sha256(repr(options).encode())
    for utterance, ways, arrays in zip(states.utterances, variants, states.arrays, strict=True):
        total.update(repr((utterance.id, ways, [each.shape for each in arrays])).encode())
        total.update(np.ascontiguousarray(arrays[0][::50]).tobytes())
    return total.hexdigest()


def _about(
    name: str, options: HeadOptions, n_utterances: int, n_taught: int, rate: float | None
) -> About:
    """Return the facts for the manifest."""
    asked: dict[str, Any] = {
        "stages": ("ctc",), "utterances": n_utterances, "taught": n_taught,
        "stage_options": {"ctc": asdict(options.ctc)},
        "copies": asdict(options.copies),
    }
    training: dict[str, Any] = {"stage": "ctc", "passes": options.ctc.passes}
    if rate is not None:
        training["phone_errors"] = round(rate, 2)
    settings = {"dictation": NETWORK_DICTATION.to_dict(), "commands": NETWORK_UNTAUGHT.to_dict()}
    return About(options.origin or Path(name).name, options.licences, asked, settings, [training])
