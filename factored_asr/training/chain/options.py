"""The options of the stages tdnn and chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from factored_asr.errors import OptionError
from factored_asr.training.alignment import AlignmentOptions
from factored_asr.training.chain.mmi import LEAK
from factored_asr.training.tying import TreeOptions

STEP = 3
"""Frames of the input for one of the output of a chain model."""


@dataclass(frozen=True)
class TdnnOptions:
    """How a time-delay network is shaped and trained. The defaults are those of the stage tdnn;
    `CHAIN` has those of the stage chain."""

    step: int = 1
    """Frames of 10 ms for one of the output. 1, the stage tdnn: states and Gaussians are those of
    the model before, and cross-entropy is the objective. 3, the stage chain: a phone has one state,
    and lattice-free MMI is the objective."""
    hidden: int = 256
    """Values between the layers; higher: slower, and it may fit the training data only."""
    bottleneck: int = 64
    """Values between the two factors of a layer, below `hidden`."""
    offsets: tuple[int, ...] = (1, 2, 3)
    """For each factored layer, how many frames of 10 ms to either side it sees. With a step of 3:
    1, or a multiple of 3 from the first such layer on, which sees every third frame only."""
    gaussian_weight: float = 0.2
    """Weight of the log-likelihoods of the Gaussians next to the network's scores; 0: none."""
    tree: TreeOptions = field(default_factory=lambda: TreeOptions(ask_position=False))
    """How finely contexts are told apart, of a chain model. Positions in the word cannot be asked
    for."""
    n_gaussians: int = 2000
    """Gaussians of a chain model's pdfs, by which speakers' maps are estimated."""
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Speeds of the copies of the speech; in each pass one of them is seen. (1.0,): no copies."""
    volume: float = 0.3
    """Standard deviation of changes of the volume, in units of the first cepstrum."""
    unmapped: float = 0.3
    """Share of utterances seen without their speaker's map, in [0, 1], so that new speakers can be
    decoded before they have one. It counts only where the model before has maps."""
    entropy_passes: int = 4
    """Passes of a chain model with cross-entropy alone: each frame has the pdf that the alignment
    gives it."""
    passes: int = 10
    """All passes. After the first ones lattice-free MMI is a chain model's objective."""
    entropy_weight: float = 0.1
    """Weight of the cross-entropy next to lattice-free MMI, on outputs of its own."""
    leak: float = LEAK
    """Weight of jumps in the denominator; higher: other orders of phones are less unlikely."""
    tolerance: int = 4
    """Frames of 30 ms by which a phone of the numerator may move from where the GMM has it."""
    output_decay: float = 5e-4
    """Weight of the squares of the outputs, which keeps them small."""
    batch_frames: int = 1500
    """Frames of the output in a step of training."""
    learning_rate: float = 4e-3
    """At its highest, after the first steps; it then falls as a cosine does."""
    weight_decay: float = 1e-2
    """Decay of the weights, relative to the learning rate."""
    dropout: float = 0.1
    """Share of hidden values set to 0 in training."""
    averaged: float = 0.2
    """Share of the last steps whose weights are averaged."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How texts are aligned with the copies."""
    seed: int = 0
    """Selects first weights, order, copies and dropout."""

    def __post_init__(self) -> None:
        if self.step not in (1, STEP):
            raise OptionError(f"step is {self.step}, must be 1 or {STEP}")
        if min(self.offsets, default=0) < 1:
            raise OptionError(f"offsets {self.offsets} must be at least 1, one at least")
        if self.step == STEP:
            self._check_chain()
        if not 1 <= self.bottleneck < self.hidden:
            raise OptionError(f"bottleneck {self.bottleneck} must lie in 1 to hidden "
                              f"({self.hidden}) less one")
        for name in ("passes", "batch_frames", "n_gaussians"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        for name in ("dropout", "averaged"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must lie in [0, 1)")
        if not 0 <= self.unmapped <= 1:
            raise OptionError(f"unmapped is {self.unmapped}, must lie in [0, 1]")
        if not self.gaussian_weight >= 0:
            raise OptionError(f"gaussian_weight is {self.gaussian_weight}, must not be negative")
        if not self.speeds or not 0.5 <= min(self.speeds) <= max(self.speeds) <= 2:
            raise OptionError(f"speeds {self.speeds} must lie in 0.5 to 2, one at least")

    def _check_chain(self) -> None:
        far = [i for i, offset in enumerate(self.offsets) if offset % STEP == 0]
        if not far or any(offset != 1 for offset in self.offsets[: far[0]]) or any(
                offset % STEP for offset in self.offsets[far[0]:]):
            raise OptionError(f"offsets {self.offsets} must be 1, then multiples of {STEP}")
        if self.tree.ask_position:
            raise OptionError("the tree of a chain model cannot ask for positions in the word")
        if not 0 <= self.entropy_passes <= self.passes or self.tolerance < 0:
            raise OptionError("entropy_passes must lie in 0 to passes, tolerance at least 0; got "
                              f"{self.entropy_passes} and {self.tolerance}")


CHAIN = TdnnOptions(step=STEP, hidden=192, bottleneck=48, offsets=(1, 3, 3, 3, 3),
                    gaussian_weight=0.0, passes=20, learning_rate=3e-3)
"""How the stage chain trains."""
