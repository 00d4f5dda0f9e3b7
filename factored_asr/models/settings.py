"""How speech is decoded: scale, beams, what the graph holds, what follows the search."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from factored_asr._deprecated import old_names, renamed_fields
from factored_asr.acoustic.gmm.tools import NoiseOptions, NoiseTools, SnrScale
from factored_asr.decoder import BeamOptions
from factored_asr.errors import FormatError, OptionError
from factored_asr.features.options import without_removed
from factored_asr.graph import BackgroundOptions, GraphOptions
from factored_asr.lattice import (
    Calibration,
    CombineOptions,
    ConfidenceOptions,
    RescoreOptions,
    SecondPassOptions,
)
from factored_asr.lattice.rejection import DenialMargin, Margin, RejectionOptions

VTS, SCALE = "vts", "scale"
FRONT_ENDS: dict[str, dict[str, Any]] = {"no-removal": {"remove_noise": False},
                                         "mask": {"enhancement": "mask"}}
"""Tools against noise that change the front end: which of its choices, and to what."""
NOISE_TOOLS = (VTS, SCALE, *FRONT_ENDS)
REMOVED_TOOLS = ("subtraction", "wiener", "log-mmse", "variance", "quantiles")
"""Tools of earlier versions that did not help (docs/benchmarks.md)."""
LATTICE_BEAM = 6.0  # where something needs a lattice and the options have no beam for it


_RENAMED = {"trust": "snr_scale"}  # old name


@renamed_fields(_RENAMED)
@dataclass(frozen=True)
class DecodeOptions:
    """How scores are weighed and searched; what suits dictation does not suit commands."""

    acoustic_scale: float = 0.1
    """Weight of acoustic scores against language scores, > 0; higher: the sound counts more."""
    beam: BeamOptions = BeamOptions()
    """How wide the search is."""
    graph: GraphOptions = GraphOptions()
    """What is compiled into the graph besides words and sounds."""
    background: BackgroundOptions | None = None
    """What speech outside a grammar costs; None disables rejection."""
    rejection: RejectionOptions = RejectionOptions()
    """When the best sentence of a grammar is rejected; only with a background."""
    noise: NoiseOptions | None = None
    """How a GMM is moved to the noise of each whole sound (see compensation.py); None disables
    it. A stream knows the noise only where it re-decodes an utterance at its end."""
    snr_scale: SnrScale | None = None
    """How the weight of a GMM's scores falls with the signal-to-noise ratio of each whole sound;
    None disables it. For streams as `noise`."""
    front_end: Mapping[str, Any] = field(default_factory=dict)
    """Options of a GMM's front end, by their names in `FeatureOptions`, in which decoding differs
    from training: say, ``{"enhancement": "mask"}``."""
    prior_weight: float | None = None
    """Weight of the log prior that a network's log posteriors are divided by, >= 0; higher: rare
    phones are found more. None: the model's own. A GMM has none."""
    taught: bool = False
    """Use the head of a network that was taught in noise, and its changes of the encoder, if the
    model has one."""
    align_words: bool = False
    """Give the words of a result the times of an alignment by the model en-us: for models whose own
    times are only roughly right. It takes 0.01 × real time."""
    threads: int = 1
    """Threads of the matrix products of one recognition, >= 1. More rarely helps: sounds, streams
    and files are what to run side by side."""
    max_ngrams: int = 0
    """N-grams that the first pass keeps of a language model, unigrams included; 0 keeps all."""
    second_pass: SecondPassOptions = SecondPassOptions()
    """What is done with the lattice of a search."""
    confidence: ConfidenceOptions = ConfidenceOptions()
    """How confidences are computed, where they are asked for."""

    def __post_init__(self) -> None:
        scale = self.acoustic_scale
        if not 0 < scale < float("inf"):
            raise OptionError(f"acoustic_scale must be above 0 and finite, got {scale}")
        if self.prior_weight is not None and not 0 <= self.prior_weight < float("inf"):
            raise OptionError(f"prior_weight must be at least 0, got {self.prior_weight}")
        if self.second_pass.combine.weight and not self.align_words:
            raise OptionError("only a network, whose words en-us gives their times (align_words), "
                              "is combined with en-us: leave the weight of `combine` at 0")
        if self.threads < 1:
            raise OptionError(f"threads must be at least 1, got {self.threads}")
        if self.max_ngrams < 0:
            raise OptionError(f"max_ngrams must be >= 0, got {self.max_ngrams}")

    def with_lattice(self) -> DecodeOptions:
        """The options with a beam for a lattice, where they have none."""
        if self.beam.lattice_beam:
            return self
        return replace(self, beam=replace(self.beam, lattice_beam=LATTICE_BEAM))

    def for_conversation(self) -> DecodeOptions:
        """Return the options of commands for what is said to a dialogue."""
        rejection = replace(self.rejection, in_noise=CONVERSATION)
        return replace(self, rejection=rejection,
                       beam=replace(self.beam, max_active=CONVERSATION_ACTIVE))

    def against_noise(self, tools: Iterable[str]) -> DecodeOptions:
        """The options with these tools against noise and no others; none where there are none.

        They are ``vts``, ``scale`` (see `SnrScale`), or names in `FRONT_ENDS`. Raises OptionError
        for a tool that is not known, or was removed.

        >>> DecodeOptions().against_noise(["mask", "no-removal"]).front_end
        {'enhancement': 'mask', 'remove_noise': False}
        """
        chosen, changes = tuple(tools), dict[str, Any]()
        for tool in chosen:
            if tool not in NOISE_TOOLS:
                what = f"no tool against noise is named {tool!r}"
                if tool in REMOVED_TOOLS:
                    what = f"the tool against noise {tool!r} was removed, it did not help"
                raise OptionError(f"{what}: there are {', '.join(NOISE_TOOLS)}")
            changes |= FRONT_ENDS.get(tool, {})
        noise = (self.noise or NoiseOptions()) if VTS in chosen else None
        snr_scale = (self.snr_scale or SnrScale()) if SCALE in chosen else None
        return replace(self, noise=noise, snr_scale=snr_scale, front_end=changes)

    @property
    def tools(self) -> NoiseTools:
        """What the acoustic model is configured with."""
        return NoiseTools(self.noise, self.snr_scale, self.front_end, self.prior_weight,
                          self.taught)

    @property
    def least_scale(self) -> float:
        """The least weight that scores of a sound may have, by its noise."""
        return self.acoustic_scale * self.tools.least_weight

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, for a manifest."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any], path: str | Path | None = None) -> DecodeOptions:
        """The options from what `to_dict` gave; those left out keep their defaults.

        Raises FormatError, with `path`, for an option that is not known, or for its value.

        >>> options = DecodeOptions(acoustic_scale=0.2)
        >>> DecodeOptions.from_dict(options.to_dict()) == options
        True
        """
        try:
            values = {_RENAMED.get(name, name): value for name, value in values.items()}
            made = {name: _PARTS[name](value) if name in _PARTS else value
                    for name, value in values.items()}
            return DecodeOptions(**made)
        except (TypeError, KeyError, AttributeError, OptionError) as error:
            raise FormatError(f"options of decoding: {error}", path) from error


_ONCE_IN_GRAPH = "background_cost"  # of a background of phones alone; found in older manifests


def _margins(values: dict[str, Any]) -> dict[str, Any]:
    kinds = {"denied": DenialMargin, "denied_in_noise": DenialMargin}
    return {name: kinds.get(name, Margin)(**v) if isinstance(v, dict) else v
            for name, v in values.items()}


_PARTS: dict[str, Callable[[Any], Any]] = {
    "beam": lambda values: BeamOptions(**values),
    "graph": lambda values: GraphOptions(
        **{name: value for name, value in values.items() if name != _ONCE_IN_GRAPH}
    ),
    "background": lambda values: None if values is None else BackgroundOptions(**values),
    "rejection": lambda values: RejectionOptions(**_margins(values)),
    "noise": lambda values: None if values is None else NoiseOptions.from_dict(values),
    "front_end": without_removed,
    "snr_scale": lambda values: None if values is None else SnrScale(**values),
    "second_pass": lambda values: SecondPassOptions(
        **{**values, "rescore": RescoreOptions(**values.get("rescore", {})),
           "combine": CombineOptions(**values.get("combine", {}))}
    ),
    "confidence": lambda values: ConfidenceOptions(
        **{**values, "calibration": Calibration.from_dict(values["calibration"])}
    ),
}


# Chosen on the tuning speakers of tests/bench/accented.py, and looked at on spoken orders and five
# read sentences: those two are no held-out figures for these settings.
CONVERSATION = Margin(word=1.5, words=6.0, frame=0.05)
"""Margin in noise of what is said to a dialogue: many answers are short, and it asks where
readings that would do different things are close. Chosen by tests/bench/dialogues_spoken.py."""
CONVERSATION_ACTIVE = 1000
"""Most tokens a frame of the search for what is said to a dialogue; its graph is some five times as
large as that of the commands. Of 218 turns of tests/bench/dialogues_spoken.py each has the words
that it has with 7,000. The whole takes 5 % less time (tests/bench/conversation_cost.py)."""
DICTATION = DecodeOptions(
    acoustic_scale=0.11, beam=BeamOptions(lattice_beam=0.0), max_ngrams=2_200_000,
    graph=GraphOptions(
        silence_probability=0.1, filler_probability=0.0, transition_scale=0.5, word_penalty=1.0
    ),
)
COMMANDS = DecodeOptions(
    acoustic_scale=0.2, beam=BeamOptions(lattice_beam=0.0),
    graph=GraphOptions(silence_probability=0.1, filler_probability=1e-3, transition_scale=0.5),
    background=BackgroundOptions(),  # fitted by tests/bench/false_actions.py --half 0
)


@dataclass(frozen=True)
class AsBefore:
    """Graph options that hash as when they had other names: graphs in a cache stay valid."""

    options: GraphOptions

    def __repr__(self) -> str:
        text = repr(self.options)
        for new, old in (("prefixes=", "lead_ins="), ("prefix_cost=", "lead_in_cost=")):  # old name
            text = text.replace(new, old)
        return re.sub(r", denials=\w+, denial_cost=[^,]+", "", text)  # counted by `Recipe.key`


__getattr__ = old_names(__name__)
