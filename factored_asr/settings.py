"""How speech is decoded: scale, beams, what the graph holds, what follows the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from factored_asr.acoustic.noise_adaptation import NoiseOptions
from factored_asr.decoder import (
    BeamOptions,
    Calibration,
    ConfidenceOptions,
    RescoreOptions,
    SecondPassOptions,
)
from factored_asr.errors import FormatError, OptionError
from factored_asr.graph import BackgroundOptions, GraphOptions

LATTICE_BEAM = 6.0  # where something needs a lattice and the options have no beam for it


@dataclass(frozen=True)
class DecodeOptions:
    """How scores are weighed and searched; what suits dictation does not suit commands."""

    acoustic_scale: float = 0.1
    """Weight of acoustic scores against language scores, > 0; higher: trust the sound more."""
    beam: BeamOptions = BeamOptions()
    """How wide the search is."""
    graph: GraphOptions = GraphOptions()
    """What is compiled into the graph besides words and sounds."""
    background: BackgroundOptions | None = None
    """What speech outside a grammar costs; None hears commands in everything."""
    noise: NoiseOptions | None = None
    """How the model is moved to the noise of each whole sound (see noise_adaptation.py); None
    takes it as it is. Streams know no noise until their second look."""
    max_ngrams: int = 0
    """N-grams that the first pass keeps of a language model, unigrams included; 0 keeps all."""
    second_pass: SecondPassOptions = SecondPassOptions()
    """What is done with the lattice of a search."""
    confidence: ConfidenceOptions = ConfidenceOptions()
    """How confidences are computed, where they are asked for."""

    def __post_init__(self) -> None:
        if not 0 < self.acoustic_scale < float("inf"):
            raise OptionError(
                f"acoustic_scale must be above 0 and finite, got {self.acoustic_scale}"
            )
        if self.max_ngrams < 0:
            raise OptionError(f"max_ngrams must be >= 0, got {self.max_ngrams}")

    def with_lattice(self) -> DecodeOptions:
        """The options with a beam for a lattice, where they have none."""
        if self.beam.lattice_beam:
            return self
        return replace(self, beam=replace(self.beam, lattice_beam=LATTICE_BEAM))

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, for a manifest."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any], path: str | Path | None = None) -> DecodeOptions:
        """The options from what `to_dict` gave; those left out keep their defaults.

        Raises
        ------
        FormatError
            An option that is not known, or a value that it may not have; names `path`.

        Examples
        --------
        >>> options = DecodeOptions(acoustic_scale=0.2)
        >>> DecodeOptions.from_dict(options.to_dict()) == options
        True
        """
        try:
            made = {name: _PARTS[name](value) if name in _PARTS else value
                    for name, value in values.items()}
            return DecodeOptions(**made)
        except (TypeError, KeyError, AttributeError, OptionError) as error:
            raise FormatError(f"options of decoding: {error}", path) from error


_ONCE_IN_GRAPH = "background_cost"  # of a background of phones alone; found in older manifests
_PARTS: dict[str, Callable[[Any], Any]] = {
    "beam": lambda values: BeamOptions(**values),
    "graph": lambda values: GraphOptions(
        **{name: value for name, value in values.items() if name != _ONCE_IN_GRAPH}
    ),
    "background": lambda values: None if values is None else BackgroundOptions(**values),
    "noise": lambda values: None if values is None else NoiseOptions(**values),
    "second_pass": lambda values: SecondPassOptions(
        **{**values, "rescore": RescoreOptions(**values.get("rescore", {}))}
    ),
    "confidence": lambda values: ConfidenceOptions(
        **{**values, "calibration": Calibration.from_dict(values["calibration"])}
    ),
}


# Chosen on the tuning speakers of tests/bench/accented.py, and looked at on spoken orders and five
# read sentences: those two are no held-out figures for these settings.
DICTATION = DecodeOptions(
    acoustic_scale=0.11, beam=BeamOptions(lattice_beam=0.0), max_ngrams=2_200_000,
    graph=GraphOptions(
        silence_probability=0.1, filler_probability=0.0, transition_scale=0.5, word_penalty=1.0
    ),
)
COMMANDS = DecodeOptions(
    acoustic_scale=0.2, beam=BeamOptions(lattice_beam=0.0),
    graph=GraphOptions(
        silence_probability=0.1, filler_probability=1e-3, transition_scale=0.5,
    ),
    background=BackgroundOptions(),  # fitted by tests/bench/false_actions.py --half 0
)

# tests/bench/second_pass.py --confidence --lms default --every 2: fitted on the tuning speakers of
# accented.py, of whose words 39 % were right; too careful on speech that is recognised better.
EN_US_CONFIDENCE = ConfidenceOptions(
    calibration=Calibration(0.763, 0.083, (2.384, -1.057, -1.094))
)

# Mean over speech of 55 speakers of speechocean762 (none of those that are held out).
EN_US_MEAN = (60.5, 5.7, 6.5, 4.6, -8.7, -3.1, -4.8, -3.4, -4.9, 2.2, 1.0, 2.3, 3.7)
