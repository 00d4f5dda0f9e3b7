"""The Gaussian-mixture acoustic model, as everything outside sees it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from factored_asr.acoustic.gmm.compensation import check_movable
from factored_asr.acoustic.gmm.fmllr import FmllrOptions
from factored_asr.acoustic.gmm.parameters import GmmParameters
from factored_asr.acoustic.gmm.session import GmmSession, Scoring, joint_mean
from factored_asr.acoustic.gmm.speaker import speaker_map
from factored_asr.acoustic.gmm.tools import NoiseTools
from factored_asr.acoustic.model import AcousticModel, AcousticSession, Frames, SpeakerEvidence
from factored_asr.features.files import read_feature_file

SCORINGS = 4  # sets of pdfs whose prepared scorers are kept: grammar, alignment, speakers
_preparing = threading.Lock()


@dataclass(frozen=True, eq=False)
class GmmModel(GmmParameters):
    """An `AcousticModel` of Gaussian mixtures over cepstra.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us").acoustic_model()
    >>> session = model.session(np.arange(100), whole=True)
    >>> early = session.accept(np.zeros(16000, np.float32))  # 1 s; a whole sound waits for its end
    >>> len(early), [scores.shape for scores in session.finish()]
    (0, [(99, 100)])
    """

    name = "GMM"

    def session(
        self, pdfs: np.ndarray, *, whole: bool, after: AcousticSession | None = None
    ) -> GmmSession:
        """Begin a sound; see `AcousticModel.session`."""
        return GmmSession(self, self._scoring(pdfs), whole, after)

    def describe(self) -> dict[str, str]:
        """Return what `info` prints of the model: name of each fact → its value."""
        features = self.features
        facts: dict[str, object] = {
            "phones": f"{len(self.phones)}: {' '.join(self.phones)}",
            "hmms": len(self.hmm_pdfs), "pdfs": self.n_pdfs,
            "gaussians": self.densities.means.size // self.densities.means.shape[-1],
        }
        if self.tree is not None:
            facts["tree"] = f"{self.tree.n_leaves} leaves, {self.tree.n_nodes} nodes"
        facts["sample rate"] = f"{features.sample_rate} Hz"
        facts["features"] = features.n_features
        if self.transform is not None:
            facts["transform"] = f"{features.n_features} features to {len(self.transform)}"
        facts["frame"] = f"{self.frame_seconds} s"
        return {name: str(value) for name, value in facts.items()}

    def _scoring(self, pdfs: np.ndarray) -> Scoring:
        """What sessions for these pdfs share, prepared once."""
        key, kept = np.asarray(pdfs, np.int64).tobytes(), self._scorings
        with _preparing:
            if key not in kept:
                kept[key] = Scoring(self, pdfs)
            while len(kept) > SCORINGS:
                kept.popitem(last=False)
            return kept[key]

    @cached_property
    def _scorings(self) -> OrderedDict[bytes, Scoring]:
        return OrderedDict()

    def configured(self, tools: NoiseTools) -> GmmModel:
        """Return the model with these tools against noise, and no others."""
        if tools.noise is not None and self.transform is None:
            check_movable(self)
        return replace(self, features=self.features.changed(tools.front_end), noise=tools.noise,
                       snr_scale=tools.snr_scale)

    def adapted(
        self, sounds: Sequence[SpeakerEvidence], options: FmllrOptions | None = None,
        previous: AcousticModel | None = None,
    ) -> GmmModel:
        """Return the model behind an fMLLR map of the speaker; see `AcousticModel.adapted`."""
        start = previous.speaker_map if isinstance(previous, GmmModel) else None
        affine = speaker_map(self, sounds, options, start)
        return replace(self.with_transform(affine), speaker_map=affine)

    def normalised_over(self, sounds: Sequence[AcousticSession]) -> GmmModel:
        """Return the model that takes the mean of all these sounds off each of them."""
        return replace(self, mean=joint_mean(sounds, self))

    def read_frames(self, path: str | Path) -> Frames:
        """Read static cepstra, before any mean is taken off; see `features.files`."""
        return Frames(read_feature_file(path, self.features.n_cepstra),
                      seconds=self.frame_seconds)
