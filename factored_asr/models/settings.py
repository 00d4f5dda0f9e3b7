"""How speech is decoded: scale, beams, what the graph holds, what follows the search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.gmm.noise_adaptation import NoiseOptions
from factored_asr.acoustic.gmm.snr_trust import SnrTrust
from factored_asr.decoder import BeamOptions
from factored_asr.errors import FormatError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.features.snr import cepstral_levels, estimate_snr
from factored_asr.graph import BackgroundOptions, GraphOptions
from factored_asr.lattice import Calibration, ConfidenceOptions, RescoreOptions, SecondPassOptions

VTS, SCALE = "vts", "scale"
FRONT_ENDS: dict[str, dict[str, Any]] = {
    "no-removal": {"remove_noise": False},
    "subtraction": {"enhancement": "subtraction"},
    "wiener": {"enhancement": "wiener"},
    "log-mmse": {"enhancement": "log_mmse"},
    "mask": {"enhancement": "mask"},
    "variance": {"normalisation": "variance"},
    "quantiles": {"normalisation": "quantiles"},
}
"""Tools against noise that change the front end: which of its choices, and to what."""
NOISE_TOOLS = (VTS, SCALE, *FRONT_ENDS)
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
    trust: SnrTrust | None = None
    """How the acoustic scale falls with the signal-to-noise ratio of each whole sound; None leaves
    it as it is. Streams know no ratio until their second look."""
    front_end: Mapping[str, Any] = field(default_factory=dict)
    """Choices of the front end, by their names in `FeatureOptions`, in which decoding differs from
    what the model was trained with: say, ``{"enhancement": "log_mmse"}``."""
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

    def against_noise(self, tools: Iterable[str]) -> DecodeOptions:
        """The options with these tools against noise and no others; none where there are none.

        Parameters
        ----------
        tools
            ``vts``, ``scale`` (see `SnrTrust`), or names in `FRONT_ENDS`.

        Raises
        ------
        OptionError
            A tool of that name is not known.

        Examples
        --------
        >>> DecodeOptions().against_noise(["log-mmse", "quantiles"]).front_end
        {'enhancement': 'log_mmse', 'normalisation': 'quantiles'}
        """
        chosen, changes = tuple(tools), dict[str, Any]()
        for tool in chosen:
            if tool not in NOISE_TOOLS:
                raise OptionError(
                    f"no tool against noise is named {tool!r}: there are {', '.join(NOISE_TOOLS)}"
                )
            changes |= FRONT_ENDS.get(tool, {})
        noise = (self.noise or NoiseOptions()) if VTS in chosen else None
        trust = (self.trust or SnrTrust()) if SCALE in chosen else None
        return replace(self, noise=noise, trust=trust, front_end=changes)

    def scale_of(self, cepstra: np.ndarray, features: FeatureOptions) -> float:
        """The acoustic scale of one sound, from its cepstra before any mean is taken off."""
        if self.trust is None:
            return self.acoustic_scale
        return self.acoustic_scale * self.trust.share(
            estimate_snr(cepstral_levels(cepstra, features))
        )

    @property
    def least_scale(self) -> float:
        """The least weight that scores of a sound may have, by its noise."""
        moved, noisy = self.noise, self.trust
        return (self.acoustic_scale * (noisy.least if noisy else 1.0)
                * (min(moved.trust, moved.delta_trust) if moved else 1.0))  # fmt: skip

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
    "trust": lambda values: None if values is None else SnrTrust(**values),
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

EN_US_COMMANDS = replace(COMMANDS, front_end=FRONT_ENDS["mask"], noise=NoiseOptions())
"""Of en-us, whose mel bands the shipped mask was learnt for and whose Gaussians can be moved."""

# tests/bench/second_pass.py --confidence --lms default --every 2: fitted on the tuning speakers of
# accented.py, of whose words 39 % were right; too careful on speech that is recognised better.
EN_US_CONFIDENCE = ConfidenceOptions(
    calibration=Calibration(0.763, 0.083, (2.384, -1.057, -1.094))
)

# Mean over speech of 55 speakers of speechocean762 (none of those that are held out).
EN_US_MEAN = (60.5, 5.7, 6.5, 4.6, -8.7, -3.1, -4.8, -3.4, -4.9, 2.2, 1.0, 2.3, 3.7)

# Of the speech frames of 220 clips by those speakers, each clip's mean off: see equalisation.py.
EN_US_QUANTILES = (
    (-9.5, -28.8, -23.8, -26.8, -27.5, -22.7, -24.1, -22.5, -23.5, -21.4, -20.0, -19.5, -18.4),
    (-5.8, -16.2, -14.8, -18.3, -16.9, -14.4, -14.7, -13.9, -14.6, -13.1, -12.2, -11.9, -11.2),
    (-2.6, -7.3, -8.7, -12.0, -10.4, -9.1, -9.1, -8.6, -8.9, -8.0, -7.5, -7.2, -6.6),
    (0.1, -1.2, -3.7, -6.7, -5.3, -4.5, -4.3, -4.2, -4.3, -3.7, -3.6, -3.3, -3.0),
    (2.7, 3.5, 0.8, -1.3, -0.3, -0.3, 0.0, -0.3, 0.0, 0.2, 0.0, 0.2, 0.4),
    (5.2, 7.6, 5.2, 4.3, 4.5, 3.8, 4.2, 3.6, 4.1, 4.2, 3.7, 3.7, 3.7),
    (8.0, 11.6, 9.8, 11.0, 9.4, 8.2, 8.6, 8.1, 8.6, 8.5, 7.7, 7.6, 7.2),
    (10.8, 16.1, 15.2, 20.3, 15.2, 13.7, 13.9, 13.4, 14.2, 13.8, 12.7, 12.4, 11.6),
    (14.8, 22.0, 23.3, 33.5, 24.1, 21.8, 22.5, 21.6, 22.6, 22.1, 20.5, 20.0, 18.9),
)  # fmt: skip
EN_US_FRONT_END = {"initial_mean": EN_US_MEAN, "reference": EN_US_QUANTILES}
