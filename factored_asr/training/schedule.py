"""The schedule of a stage of training: passes, alignments, and the number of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass, replace

from factored_asr.errors import OptionError


@dataclass(frozen=True)
class Schedule:
    """Passes, alignments and Gaussians of a stage. The defaults are those of Kaldi's monophones."""

    passes: int = 40
    """Updates of the model. Higher: fits the training data better, up to a point."""
    realign: tuple[int, ...] = (*range(2, 12), *range(13, 40, 2))
    """Passes (from 1) before which the data are re-aligned."""
    n_gaussians: int = 1000
    """Gaussians of the final model, over all pdfs. Higher: a finer model, which needs more data.
    0: by the amount of data (`gaussians_for`)."""
    grow_until: int = 32
    """The pass at which that number is reached."""
    power: float = 0.25
    """A pdf's share of Gaussians grows with its frames to this power, in [0, 1]: 0 gives all the
    same number, 1 a number in proportion."""
    richness: float = 1.0
    """Factor on `gaussians_for`, where n_gaussians is 0. Features that vary less, as behind
    speakers' maps, bear more Gaussians."""

    def __post_init__(self) -> None:
        if self.passes < 1 or self.n_gaussians < 0 or self.grow_until < 1:
            raise OptionError(
                f"passes {self.passes} and grow_until {self.grow_until} must be at least 1, "
                f"n_gaussians {self.n_gaussians} not negative"
            )
        if not 0 <= self.power <= 1 or not self.richness > 0:
            raise OptionError(
                f"power must lie in [0, 1], richness above 0; got {self.power}, {self.richness}"
            )

    def target(self, number: int, n_pdfs: int) -> int:
        """Return the Gaussians wanted after a pass, 0 for no growth; the last pass adds none."""
        if number >= self.passes or self.n_gaussians <= n_pdfs:
            return 0
        share = min(1.0, max(0, number - 2) / max(1, self.grow_until - 2))
        return n_pdfs + int(share * (self.n_gaussians - n_pdfs))

    def sized(self, n_frames: int) -> Schedule:
        """Return the schedule with a number of Gaussians, by the data where it has none."""
        if self.n_gaussians:
            return self
        return replace(self, n_gaussians=round(self.richness * gaussians_for(n_frames)))


TIED_SCHEDULE = Schedule(passes=35, realign=(10, 20, 30), n_gaussians=0, grow_until=25)
"""Schedule of stages that begin with good alignments and a new tree: Kaldi's train_deltas."""


def gaussians_for(n_frames: int) -> int:
    """Return the number of Gaussians of triphones for so many frames of training.

    Kaldi's 1500 for the half hour of AN4, otherwise in proportion to the root of the frames. On an
    hour of accented English 1600 made no more errors than 3000, and 6000 made far more.

    Examples
    --------
    >>> gaussians_for(193_631), gaussians_for(380_000)
    (1500, 2101)
    """
    return max(1, round(1500 * (n_frames / 193_631) ** 0.5))
