"""The network as an acoustic model: what everything outside sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from factored_asr.acoustic.gmm.tools import NoiseTools
from factored_asr.acoustic.model import AcousticModel, AcousticSession, Frames, SpeakerEvidence
from factored_asr.acoustic.network.encoder import HOP, SAMPLE_RATE, Encoder
from factored_asr.acoustic.network.head import Head
from factored_asr.acoustic.network.moonshine import read_encoder
from factored_asr.acoustic.network.session import NetworkSession
from factored_asr.acoustic.network.windows import Window, WindowedFrames
from factored_asr.acoustic.threads import blas_threads
from factored_asr.acoustic.topology import N_POSITIONS, Topology
from factored_asr.errors import OptionError

STREAM = Window(left=125, new=21, right=10, first=60)
"""Of streams: 3 s, 0.5 s and 0.25 s; the first scores come after 1.4 s."""
WHOLE = Window(left=125, new=500, right=21)
"""Of whole sounds: 3 s, 12 s and 0.5 s."""
PRIOR_WEIGHT = 0.7


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """An `AcousticModel` of a frozen encoder and a CTC head over phones.

    The score of a phone, or of the blank, in a frame is ``log p − prior_weight · log prior``: a
    likelihood but for a factor, as of Bayes' rule (H. Bourlard and N. Morgan, 1994). A frame is of
    24 ms; the network was trained to get the phones' order right, not their times.
    """

    name = "network"
    sample_rate = SAMPLE_RATE
    frame_seconds = HOP / SAMPLE_RATE
    silence = ""
    fillers = ()

    encoder: Encoder
    """Its weights, with the changes of the head, if it has some."""
    head: Head
    """Its layers on top of the encoder."""
    prior_weight: float = PRIOR_WEIGHT
    """Weight of the log prior that is subtracted; higher: rare phones are found more."""
    window: Window = STREAM
    """Windows of streams."""
    whole: Window = WHOLE
    """Windows of whole sounds: longer ones take less time."""
    taught_head: Head | None = None
    """A head that was taught in noise, with changes of the encoder; None: there is none."""
    plain_head: Head | None = None
    """Of a model with such changes: the head without; else None."""

    @cached_property
    def plain(self) -> NetworkModel:
        """The model without changes of the encoder, with which detectors listen.

        They have learnt from its frames. It is the model itself where that has no changes.
        """
        if self.plain_head is None:
            return self
        return replace(self, encoder=read_encoder(), head=self.plain_head,
                       taught_head=self.head, plain_head=None)

    @property
    def taught(self) -> NetworkModel:
        """The model with the head that was taught in noise; itself where there is none."""
        taught = self.taught_head
        if taught is None or taught.changes is None:
            return self
        with blas_threads(1):
            encoder = taught.changes(self.encoder)
        return replace(self, encoder=encoder, head=taught, taught_head=None, plain_head=self.head)

    @property
    def phones(self) -> tuple[str, ...]:
        """Names of the phones; the blank is none of them."""
        return self.head.phones[1:]

    @property
    def n_pdfs(self) -> int:
        """Number of pdfs: 0 is the blank, k the k-th phone."""
        return len(self.head.phones)

    @property
    def look_ahead_seconds(self) -> float:
        """Seconds of sound that a stream waits for before it scores, at most."""
        n_frames = max(self.window.new + self.window.right, self.window.first)
        return n_frames * self.frame_seconds

    @cached_property
    def topology(self) -> Topology:
        """One state a phone, without context or transition costs; a blank between phones."""
        unit = np.arange(len(self.phones))
        zeros, pdfs = np.zeros((len(unit), 1)), unit[:, None] + 1
        return Topology(self.phones, "", (), unit, pdfs, pdfs, zeros, zeros, unit,
                        np.repeat(unit, N_POSITIONS)[:, None, None], blank_pdf=0)

    def describe(self) -> dict[str, str]:
        """Return what `info` prints of the model: name of each fact → its value."""
        weights = sum(layer.weight.size + layer.bias.size for layer in self.head.layers)
        facts = {
            "phones": f"{len(self.phones)}: {' '.join(self.phones)}", "pdfs": self.n_pdfs,
            "encoder": f"Moonshine tiny, 7.7 million weights, {self._changed}",
            "head": f"{len(self.head.layers)} layers, {weights:,} weights",
            "sample rate": f"{self.sample_rate} Hz", "frame": f"{self.frame_seconds} s",
        }
        if self.head.description:
            facts["training"] = self.head.description
        if self.head.licence:
            facts["licence"] = self.head.licence
        return {name: str(value) for name, value in facts.items()}

    @property
    def _changed(self) -> str:
        taught = self.taught_head or self.head
        if taught.changes is None:
            return "frozen"
        return f"and {taught.changes.n_weights:,} that change them"

    def session(
        self, pdfs: np.ndarray, *, whole: bool, after: AcousticSession | None = None
    ) -> NetworkSession:
        """Begin a sound; see `AcousticModel.session`. Nothing goes on from one to the next."""
        frames = WindowedFrames(self.encoder, self.head, self.whole if whole else self.window)
        prior = np.float32(self.prior_weight) * self.head.log_prior
        return NetworkSession(frames, prior, pdfs, whole)

    def configured(self, tools: NoiseTools) -> NetworkModel:
        """Return the model taught in noise or not, with this weight of its prior.

        Raises OptionError for tools against noise.
        """
        for name, used in (("vts", tools.noise is not None), ("scale", tools.snr_scale is not None),
                           ("mask or no-removal", bool(tools.front_end))):
            if used:
                _refuse(f"the tool against noise {name}")
        model, weight = self.taught if tools.taught else self.plain, tools.prior_weight
        if weight is None or weight == model.prior_weight:
            return model
        return replace(model, prior_weight=weight)

    def adapted(
        self, sounds: Sequence[SpeakerEvidence], options: Any = None,
        previous: AcousticModel | None = None,
    ) -> NetworkModel:
        """Raise OptionError: a network is not adapted by a map of the speaker."""
        _refuse("adaptation to a speaker without transcripts (fMLLR)")

    def normalised_over(self, sounds: Sequence[AcousticSession]) -> NetworkModel:
        """Return the model itself: it normalises each window on its own."""
        return self

    def read_frames(self, path: str | Path) -> Frames:
        """Raise OptionError: a network takes sound alone."""
        _refuse(f"{path}: reading of ready-made frames")


def _refuse(what: str) -> NoReturn:
    raise OptionError(f"{what} is for Gaussian mixtures, not for the network: use --model en-us")
