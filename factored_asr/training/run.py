"""Training from the first stage to the last; it resumes after an interruption.

The state is written after every stage and every few passes. Training with the same data, lexicon
and options resumes there and ends with the same model bit for bit. With other options, the stages
from the first difference on are trained from their beginning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from factored_asr.errors import FormatError, OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained
from factored_asr.training.chain.options import CHAIN, TdnnOptions
from factored_asr.training.chain.stage import train_tdnn
from factored_asr.training.checkpoint import Checkpoint
from factored_asr.training.data import TrainingData
from factored_asr.training.em import PassReport, Report, Run, mixtures_of
from factored_asr.training.fold_in import FoldInOptions, train_fold_in
from factored_asr.training.lda_mllt import LdaMlltOptions, train_lda_mllt
from factored_asr.training.mmi import MmiOptions, train_mmi
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.sat import SatOptions, train_sat
from factored_asr.training.triphone import TriphoneOptions, train_triphones

EVERY = 4  # passes between checkpoints within a stage


class Stage(NamedTuple):
    """A stage of training: its function and its default options."""

    train: Callable[..., Trained]
    """``(data, lexicon, trained: Trained | None, options, run: Run) → Trained``."""
    options: Any
    """A frozen dataclass."""


STAGES: dict[str, Stage] = {
    "mono": Stage(train_mono, MonoOptions()),
    "tri": Stage(train_triphones, TriphoneOptions()),
    "lda_mllt": Stage(train_lda_mllt, LdaMlltOptions()),
    "sat": Stage(train_sat, SatOptions()),
    "fold_in": Stage(train_fold_in, FoldInOptions()),
    "mmi": Stage(train_mmi, MmiOptions()),
    "tdnn": Stage(train_tdnn, TdnnOptions()),
    "chain": Stage(train_tdnn, CHAIN),
}
"""The stages by name, in the order in which they build on one another."""
NETWORKS = ("tdnn", "chain")
"""Stages that train a network, which ends training."""
LAST = ("mmi", *NETWORKS)
"""Stages after which no stage of maximum likelihood goes on."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model and its reports."""

    trained: Trained
    log: tuple[PassReport, ...]
    """Reports of all passes of all stages."""
    likeliest: Trained
    """The result of the last stage of maximum likelihood: `trained`, unless others followed."""


def train(
    data: TrainingData, lexicon: Lexicon, stages: Sequence[str] = ("mono",),
    options: Mapping[str, Any] | None = None, *, start: Trained | None = None,
    checkpoints: str | Path | None = None, jobs: int = 1, report: Report | None = None,
) -> TrainingResult:
    """Run stages of training in order, names in `STAGES`; each builds on the one before it.

    Raises OptionError for an unknown stage, or options of another stage.

    Parameters
    ----------
    options
        Stage → its options; others have the defaults.
    start
        A model that the first stage builds on; None for stages that need none.
    checkpoints
        A folder for the states of training; None disables them.
    jobs
        Processes that share the work. The model does not depend on it.
    report
        Progress callback, such as that of `progress`; None disables it.
    """
    options = options or {}
    check_stages(stages, options)
    key, trained = _fingerprint(data, lexicon), start
    if start is not None:
        key = _digest(key, _digest_of(start))
    likeliest = start
    log: tuple[PassReport, ...] = ()
    for number, name in enumerate(stages, start=1):
        chosen = options.get(name, STAGES[name].options)
        key = _digest(key, name, repr(chosen))
        path = None if checkpoints is None else Path(checkpoints) / f"{number}-{name}.npz"
        found = _find(path, key)
        if found is None or not found.done:
            found = _train_stage(data, lexicon, trained, name, chosen, key, path, found, log,
                                 jobs, report)  # fmt: skip
        trained, log = found.trained, found.log
        likeliest = likeliest if name in LAST else trained
    assert trained is not None
    return TrainingResult(trained, log, likeliest or trained)


def describe(done: PassReport) -> str:
    """Return one line on a pass, for people.

    Examples
    --------
    >>> describe(PassReport("mono", 3, 40, 193631, 0.123, 104, 133, 2))
    'mono 3/40: 193,631 frames, log-likelihood 0.123 a frame, 104 pdfs, 133 Gaussians, 2 failed'
    """
    line = (
        f"{done.stage} {done.number}/{done.of}: {done.n_frames:,} frames, log-likelihood "
        f"{done.log_likelihood:.3f} a frame, {done.n_pdfs:,} pdfs, {done.n_gaussians:,} Gaussians, "
        f"{done.failed} failed"
    )
    return "; ".join([line, *done.notes])


@contextmanager
def progress() -> Iterator[Report]:
    """Show a bar for each stage and a line for each pass on standard error; gives the callback."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), transient=True) as shown:

        def report(done: PassReport) -> None:
            if done.stage not in bars:
                bars[done.stage] = shown.add_task(done.stage, total=done.of)
            shown.update(bars[done.stage], completed=done.number)
            shown.console.print(describe(done), highlight=False, markup=False)

        yield report


def check_stages(stages: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise OptionError for an unknown stage, no stage, or options of another stage."""
    if not stages:
        raise OptionError("training needs at least one stage")
    for name in (*stages, *options):
        if name not in STAGES:
            raise OptionError(f"stage {name!r} must be one of {', '.join(STAGES)}")
    for name in stages[:-1]:
        if name in NETWORKS:
            raise OptionError(f"the stage {name} must be the last one: others train Gaussian "
                              "mixtures")
    for name, chosen in options.items():
        wanted = type(STAGES[name].options)
        if not isinstance(chosen, wanted):
            raise OptionError(
                f"options of stage {name} must be {wanted.__name__}, got {type(chosen).__name__}"
            )


def _train_stage(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None, name: str, options: Any,
    key: str, path: Path | None, begun: Checkpoint | None, log: tuple[PassReport, ...], jobs: int,
    report: Report | None,
) -> Checkpoint:
    reports = list(begun.log if begun else log)

    def note(done: PassReport) -> None:
        reports.append(done)
        if report:
            report(done)

    def keep(number: int, state: Trained) -> None:
        if path and number % EVERY == 0:
            Checkpoint(key, name, number, False, state, tuple(reports)).write(path)

    state = (begun.number, begun.trained) if begun else None
    run = Run(jobs, note, keep, state)
    new = STAGES[name].train(data, lexicon, trained, options, run)
    finished = Checkpoint(key, name, 0, True, new, tuple(reports))
    if path:
        finished.write(path)
    return finished


def _find(path: Path | None, key: str) -> Checkpoint | None:
    """Return the checkpoint of a stage, if there is a complete one of this training."""
    if path is None or not path.exists():
        return None
    try:
        found = Checkpoint.read(path)
    except FormatError:
        return None  # of another version, for example: the stage is trained from its beginning
    return found if found.key == key else None


def _fingerprint(data: TrainingData, lexicon: Lexicon) -> str:
    """Return a digest of all that the model is trained on."""
    from factored_asr import __version__

    total = hashlib.sha256(repr((__version__, data.options, data.mean_over)).encode())
    for utterance, cepstra in zip(data.utterances, data.cepstra, strict=True):
        total.update(repr((utterance.id, utterance.speaker, utterance.words)).encode())
        total.update(cepstra.tobytes())
    words = sorted({word for utterance in data.utterances for word in utterance.words})
    for word in words:
        total.update(repr((word, lexicon.find(word))).encode())
    total.update(repr((lexicon.phones, sorted(lexicon.fillers))).encode())
    return total.hexdigest()


def _digest_of(trained: Trained) -> str:
    """Return a digest of the model that training builds on."""
    densities, total = mixtures_of(trained.model), hashlib.sha256()
    for array in (densities.means, densities.variances, densities.weights):
        total.update(array.tobytes())
    return total.hexdigest()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
