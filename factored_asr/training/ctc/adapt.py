"""Adaptation of a network to a small corpus: its heads are trained a little further."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.network import NetworkModel
from factored_asr.acoustic.network.head import Head
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, check_target, write_model
from factored_asr.models.recipe import Recipe
from factored_asr.training.ctc.make import Encoded
from factored_asr.training.ctc.network import CtcOptions, HeadReport, torch_module, train_head
from factored_asr.training.ctc.states import CopyOptions, States, encode
from factored_asr.training.ctc.variants import Variants, variants_of

ENOUGH = 7500
"""Frames, three minutes. With less speech the learning rate is lower in proportion: ten utterances
of a speaker do harm at the rate that is best for sixty commands."""


@dataclass(frozen=True)
class AdaptHeadOptions:
    """How a head is adapted."""

    passes: int = 20
    """Passes over the corpus."""
    learning_rate: float = 1e-3
    """At its highest, with three minutes of speech or more; higher: the head follows the corpus
    more, and forgets more."""
    held: float = 0.3
    """See `CtcOptions.held`; higher: the head follows the corpus less, and forgets less."""
    copies: CopyOptions = CopyOptions(4)
    """Distorted copies of the utterances."""
    seed: int = 0
    """Selects order, copies and noise."""


def adapt_head(
    head: Head, states: States, variants: Sequence[Variants],
    options: AdaptHeadOptions | None = None, report: Callable[[HeadReport], None] | None = None,
) -> Head:
    """Train a head further on the states of transcribed utterances.

    Its prior stays: a few minutes of speech do not tell how frequent phones are. Raises OptionError
    if there is nothing to train on, MissingError without torch.
    """
    options = options or AdaptHeadOptions()
    n_frames = sum(len(copies[0]) for copies in states.arrays)
    rate = options.learning_rate * min(1.0, n_frames / ENOUGH)
    ctc = CtcOptions(
        encoder_layers=head.encoder_layers, hidden=head.layers[0].weight.shape[1],
        offsets=tuple(layer.offsets for layer in head.layers), passes=options.passes,
        realign=(options.passes // 2,), learning_rate=rate, weight_decay=0.0,
        held=options.held, seed=options.seed,
    )
    trained = train_head(states, variants, head.phones[1:], ctc, start=head, report=report)
    return replace(head, layers=trained.layers)


def _after(number: int, of: int, report: Callable[[HeadReport], None] | None) -> Any:
    """Return a callback that counts the passes of this head after those of the heads before."""
    if report is None:
        return None
    return lambda done: report(replace(done, number=done.number + number * done.of,
                                       of=done.of * of))  # fmt: skip


def adapt_network(
    bundle: Bundle, corpus: Corpus, output: str | Path, options: AdaptHeadOptions | None = None, *,
    lexicon: Lexicon | None = None, noises: Sequence[np.ndarray] = (), jobs: int = 1,
    report: Callable[[HeadReport], None] | None = None,
) -> Path:
    """Adapt a network on disk to a corpus, and write it with its dictionary and language model.

    A head that was taught in noise is adapted, too, to the states of its own encoder.

    Parameters
    ----------
    corpus
        Checked utterances (see `check`).
    lexicon
        Pronunciations of their words; None: those of the bundle.
    noises
        Sounds at 16 kHz to mix the copies with.
    report
        Progress callback, called after each pass over either head; None disables it.

    Raises OptionError if the model is no network, or the output is there and no model.
    """
    options, model = options or AdaptHeadOptions(), bundle.acoustic_model()
    if not isinstance(model, NetworkModel):
        raise OptionError(f"model {bundle.name} is no network")
    torch_module()
    check_target(output)
    if lexicon is None:
        lexicon = Recipe(bundle).read_lexicon()
    models = [model.plain] if model.taught_head is None else [model.plain, model.taught]
    heads = list[Head]()
    for number, each in enumerate(models):
        encoded = Encoded(each.encoder, each.head.encoder_layers)
        with tempfile.TemporaryDirectory() as folder:
            states = encode(corpus.utterances, encoded, folder, options.copies, noises=noises,
                            jobs=jobs)  # fmt: skip
            variants = [variants_of(u.words, lexicon, model.head.phones) for u in states.utterances]
            heads.append(adapt_head(each.head, states, variants, options,
                                    _after(number, len(models), report)))  # fmt: skip
    about = bundle.folder.about if bundle.folder else About(origin=bundle.name)
    settings = {"dictation": bundle.dictation, "commands": bundle.commands,
                "conversation": bundle.conversation}  # fmt: skip
    log: dict[str, Any] = {"stage": "adapt", "passes": options.passes, "utterances": len(states)}
    about = replace(
        about, origin=f"{about.origin}; adapted to {corpus.name}",
        options={**about.options, "adapt": asdict(options)}, training=[*about.training, log],
        settings={kind: each.to_dict() for kind, each in settings.items()},
    )  # fmt: skip
    g2p = None if bundle.folder is None else bundle.folder.files.get("g2p")
    adapted = replace(model, head=heads[0], taught_head=heads[1] if heads[1:] else None)
    return write_model(output, adapted, lexicon=lexicon, lm=bundle.lm, g2p=g2p,
                       about=about)  # fmt: skip
