"""A hybrid model as everything outside sees it: HMMs whose pdfs a network scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np

from factored_asr.acoustic.gmm.fmllr import FmllrOptions
from factored_asr.acoustic.gmm.model import GmmModel
from factored_asr.acoustic.gmm.session import joint_mean
from factored_asr.acoustic.gmm.speaker import speaker_map
from factored_asr.acoustic.gmm.tools import NoiseTools
from factored_asr.acoustic.hybrid.session import HybridSession
from factored_asr.acoustic.model import AcousticModel, AcousticSession, Frames, SpeakerEvidence
from factored_asr.acoustic.nnet3.network import Network
from factored_asr.acoustic.topology import Topology
from factored_asr.errors import OptionError


@dataclass(frozen=True, eq=False)
class HybridModel:
    """An `AcousticModel` of a network over HMMs.

    The network takes the frames that the Gaussians take: cepstra behind the transform, and behind
    the map of a speaker who has one. Of one that scores every frame, the HMMs are those of the
    Gaussians, and scores are log-likelihoods. Of a chain model, which scores every third frame, a
    phone has one state, and scores suit an acoustic scale near 1.

    Raises
    ------
    OptionError
        The parts do not fit each other.
    """

    name = "hybrid"

    gmm: GmmModel
    """Front end, phones and tree. A chain model has two states a phone: of the frame that enters
    it, and of the frames that stay. The Gaussians, of the same pdfs, estimate the maps of
    speakers."""
    network: Network
    gaussian_weight: float = 0.0
    """Weight of the Gaussians' log-likelihoods, which are added to the network's scores."""

    def __post_init__(self) -> None:
        gmm, network = self.gmm, self.network
        if self.is_chain and (gmm.hmm_pdfs.shape[1] != 2 or (gmm.hmm_pdfs < 0).any()):
            raise OptionError("the HMMs of a chain model have two pdfs, of entry and rest")
        if not 0 <= self.gaussian_weight < np.inf:
            raise OptionError(f"gaussian_weight is {self.gaussian_weight}, must not be negative")
        if gmm.n_pdfs != network.n_outputs:
            raise OptionError(f"{gmm.n_pdfs} pdfs for a network of {network.n_outputs} outputs")
        if gmm.densities.n_features != network.n_inputs or network.n_ivector:
            raise OptionError(f"frames of {gmm.densities.n_features} values for a network of "
                              f"{network.n_inputs + network.n_ivector} inputs")

    @cached_property
    def topology(self) -> Topology:
        """The HMMs as units, of one state in a chain model, and which one a phone in context is."""
        if not self.is_chain:
            return self.gmm.topology
        units, half = self.gmm.topology, np.full((len(self.gmm.hmm_pdfs), 1), np.log(0.5))
        return replace(
            units, entry_pdf=self.gmm.hmm_pdfs[:, :1], loop_pdf=self.gmm.hmm_pdfs[:, 1:],
            loop_log_prob=half, exit_log_prob=half, skip_log_prob=np.full(half.shape, -np.inf),
        )

    @property
    def is_chain(self) -> bool:
        """Whether the network scores every third frame, and a phone has one state."""
        return self.network.step > 1

    @property
    def phones(self) -> tuple[str, ...]:
        return self.gmm.phones

    @property
    def silence(self) -> str:
        return self.gmm.silence

    @property
    def fillers(self) -> tuple[str, ...]:
        return self.gmm.fillers

    @property
    def n_pdfs(self) -> int:
        return self.gmm.n_pdfs

    @property
    def sample_rate(self) -> int:
        return self.gmm.sample_rate

    @property
    def frame_seconds(self) -> float:
        """Seconds of a frame of the output."""
        return self.gmm.frame_seconds * self.network.step

    @property
    def look_ahead_seconds(self) -> float:
        """Seconds of sound after a frame's beginning that its scores need."""
        frames = self.network.context[1] + self.network.step
        return self.gmm.look_ahead_seconds + frames * self.gmm.frame_seconds

    def describe(self) -> dict[str, str]:
        """Return what `info` prints of the model: name of each fact → its value."""
        facts = self.gmm.describe()
        facts["hmms"] = str(self.topology.n_units)
        facts["network"] = self.network.size
        if self.gaussian_weight:
            facts["weight of gaussians"] = f"{self.gaussian_weight:g}"
        facts["frame"] = f"{self.frame_seconds:g} s"
        return facts

    def session(
        self, pdfs: np.ndarray, *, whole: bool, after: AcousticSession | None = None
    ) -> HybridSession:
        """Begin a sound; see `AcousticModel.session`."""
        return HybridSession(self, pdfs, whole, after)

    def configured(self, tools: NoiseTools) -> HybridModel:
        """Return the model itself; OptionError for tools against noise and priors."""
        for name, used in (("vts", tools.noise is not None), ("scale", tools.snr_scale is not None),
                           ("mask or no-removal", bool(tools.front_end))):
            if used:
                _refuse(f"the tool against noise {name}")
        if tools.prior_weight:
            _refuse("the weight of a prior")
        return self

    def adapted(
        self, sounds: Sequence[SpeakerEvidence], options: FmllrOptions | None = None,
        previous: AcousticModel | None = None,
    ) -> HybridModel:
        """Return the model behind an fMLLR map of the speaker; see `AcousticModel.adapted`."""
        start = previous.gmm.speaker_map if isinstance(previous, HybridModel) else None
        affine = speaker_map(self.gmm, [self._spread(each) for each in sounds], options, start)
        gmm = replace(self.gmm.with_transform(affine), speaker_map=affine)
        return replace(self, gmm=gmm)

    def _spread(self, sound: SpeakerEvidence) -> SpeakerEvidence:
        """Return the evidence by frames of the input: those next to each frame of the output."""
        if not isinstance(sound.session, HybridSession) or not len(sound.pdfs):
            return sound
        step = self.network.step
        at = (np.arange(len(sound.session.features())) + step // 2) // step
        at = np.minimum(at, len(sound.pdfs) - 1)
        return replace(sound, pdfs=sound.pdfs[at], weights=sound.weights[at])

    def normalised_over(self, sounds: Sequence[AcousticSession]) -> HybridModel:
        """Return the model that takes the mean of all these sounds off each of them."""
        return replace(self, gmm=replace(self.gmm, mean=joint_mean(sounds, self.gmm)))

    def read_frames(self, path: str | Path) -> Frames:
        """Read static cepstra, before any mean is taken off; see `features.files`."""
        return self.gmm.read_frames(path)


def _refuse(what: str) -> NoReturn:
    raise OptionError(f"{what} is for Gaussian mixtures, not for hybrid models")
