"""Training on AN4 or accented_english, stage by stage, and en-us adapted to the latter.

A stage's model is trained on most speakers; its scale and word penalty are tuned on others, and
its figures are of others again: of AN4's sorted speakers the 1st, 9th, 17th ... tune and the 5th,
13th, 21st ... are reported on; of accented_english's the other way round. ``--tune`` shows the
figures of the tuning speakers instead, on which choices are made, and does not train on them
afterwards. The language model of AN4 is its
own unigram, that of accented_english a trigram of the texts trained on (words that they lack can
not be heard); once tuned, of the tuning speakers' texts, too. A model with first-pass densities
(sat, mmi), or a network (tdnn, chain), is adapted to each speaker from what it hears (``--adapt
speaker``).

``--adapted`` decodes en-us as it is and adapted (``factored-asr adapt``; once tuned, to the tuning
speakers, too), with the same trigram, dictionary and tuning; each of them also adapted to each
speaker from what it hears, with the settings found without.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common import load_note, parser, print_table

if TYPE_CHECKING:
    from factored_asr.acoustic import GmmModel
    from factored_asr.corpus.corpus import Corpus
    from factored_asr.evaluation import Evaluation
    from factored_asr.lexicon import Lexicon
    from factored_asr.training.data import TrainingData

HEADER = ["model", "words wrong", "95 %", "phones wrong", "sub/del/ins", "settings", "pdfs",
          "Gaussians", "minutes"]  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A corpus in its parts, with what is needed to train and to decode."""

    train: Corpus
    tune: Corpus
    test: Corpus
    lexicon: Lexicon
    lm: Path
    """Knows the training speakers' texts, and is tuned with."""
    final_lm: Path
    """Knows the tuning speakers' texts, too."""


def an4(data: Path, work: Path) -> Task:
    """AN4, with the unigram it comes with."""
    from factored_asr.lexicon import Lexicon

    etc = data / "an4" / "etc"
    lexicon = Lexicon.read(etc / "an4.dic", fillers=etc / "an4.filler")
    train, tune, test = parts(data / "an4", lexicon, 0, 4)
    return Task(train, tune, test, lexicon, etc / "an4.ug.lm", etc / "an4.ug.lm")


def accented(data: Path, work: Path) -> Task:
    """accented_english, with a trigram of its training texts and the phones of en-us."""
    from factored_asr.language import EstimateOptions, estimate, write_arpa
    from factored_asr.lexicon import Lexicon

    folder = data / "accented_english"
    lexicon = Lexicon.read(folder / "lexicon.txt").strip_stress()
    train, tune, test = parts(folder, lexicon, 4, 0)
    work.mkdir(parents=True, exist_ok=True)
    models = work / "accented.train.arpa", work / "accented.final.arpa"
    known = EstimateOptions(unknown=False)
    for path, texts in zip(models, (train, (*train, *tune)), strict=True):
        write_arpa(estimate((u.words for u in texts), known), path)
    return Task(train, tune, test, lexicon, *models)


CORPORA = {"an4": an4, "accented": accented}


def parts(path: Path, lexicon: Lexicon, tune: int, test: int) -> tuple[Corpus, Corpus, Corpus]:
    """The checked corpus: to train on, and every 8th speaker from two places on."""
    from factored_asr.corpus.corpus import Corpus, check
    from factored_asr.training.data import seconds_of

    corpus, problems = check(Corpus.read(path), lexicon, seconds=seconds_of())
    for problem in problems:
        print(problem.message, file=sys.stderr)
    apart = corpus.speakers[tune::8], corpus.speakers[test::8]
    return corpus.without([*apart[0], *apart[1]]), corpus.select(apart[0]), corpus.select(apart[1])


def stages(task: Task, options: argparse.Namespace) -> Iterator[list[object]]:
    """A row for every stage; each goes on from the checkpoints of the one before."""
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.training.chain.options import CHAIN, TdnnOptions
    from factored_asr.training.make import Listener, MakeOptions, make_model
    from factored_asr.training.run import describe

    names = options.stages.split(",")
    work = options.work / options.corpus
    n = options.passes
    chosen = {"tdnn": TdnnOptions(passes=n),
              "chain": replace(CHAIN, passes=n, entropy_passes=n // 5)} if n else {}
    for n, name in enumerate(names, start=1):
        if options.rows and name not in options.rows.split(","):
            continue
        began = time.monotonic()
        made = make_model(
            task.train, task.lexicon, work / name, held_out=task.tune, lm=task.lm,
            options=MakeOptions(tuple(names[:n]), {name: chosen[name]} if name in chosen else {},
                                mean_over=options.mean_over, jobs=options.jobs,
                                seed=options.seed, fold_in=options.fold_in and not options.tune),
            checkpoints=work / "checkpoints",
            listener=Listener(lambda done: told(describe(done)), told),
        )
        minutes = (time.monotonic() - began) / 60
        lm = task.lm if options.tune else task.final_lm
        found = heard(Recognizer.load(made.folder, lm=lm), task, options)
        last = made.result.log[-1]
        yield row(name, found, made.tuning, last.n_pdfs, last.n_gaussians, minutes)


def en_us(task: Task, options: argparse.Namespace) -> Iterator[list[object]]:
    """Rows for en-us as it is and adapted, tuned alike."""
    from factored_asr.graph import build_graph
    from factored_asr.language import read_lm
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.settings import DICTATION
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.training.adapt import adapt
    from factored_asr.training.data import load_data
    from factored_asr.training.run import describe
    from factored_asr.training.tune import tune

    stock, language = Bundle.find("en-us").acoustic_model(), read_lm(task.lm)
    data, unheard = (
        load_data(corpus, stock.features, options.jobs, options.mean_over)
        for corpus in (task.train, task.tune)
    )

    def moved(known: TrainingData) -> GmmModel:
        return adapt(known, task.lexicon, stock, jobs=options.jobs,
                     report=lambda done: told(describe(done)))  # fmt: skip

    began = time.monotonic()
    adapted = moved(data)
    minutes = (time.monotonic() - began) / 60
    start = replace(DICTATION, max_ngrams=0)
    final = language if options.tune else read_lm(task.final_lm)
    for name, model, took in (("en-us", stock, 0.0), ("en-us adapted", adapted, minutes)):
        tuning = tune(model.unadapted, task.lexicon, language, task.tune, start, jobs=options.jobs,
                      mean_over=options.mean_over, report=told)  # fmt: skip
        if model is adapted and not options.tune:
            model = moved(data + unheard)
        graph = build_graph(model, task.lexicon, final, tuning.options.graph)
        sizes = model.n_pdfs, model.densities.means.size // model.densities.n_features
        for to_speakers in (False, True):
            hearing = model if to_speakers else model.unadapted
            found = heard(Recognizer(hearing, graph, tuning.options), task, options, to_speakers)
            label = f"{name}, and to speakers" if to_speakers else name
            yield row(label, found, tuning, *sizes, took)


def heard(
    recognizer: object, task: Task, options: argparse.Namespace, adaptive: bool = False
) -> Evaluation:
    """What the model makes of the speakers to be shown; of each apart, if made or told for it."""
    from factored_asr.acoustic.hybrid import HybridModel
    from factored_asr.evaluation import evaluate
    from factored_asr.recognizer.speaker import SpeakerOptions

    model = recognizer.model
    adaptive = adaptive or isinstance(model, HybridModel) or model.first_pass is not None
    return evaluate(
        recognizer, task.tune if options.tune else task.test, jobs=options.jobs,
        adapt=SpeakerOptions() if adaptive else None, mean_over=options.mean_over,
        lexicon=task.lexicon,
    )


def row(name: str, found: Evaluation, tuning: object, *sizes: object) -> list[object]:
    """A line of the table."""
    errors, best, (pdfs, gaussians, minutes) = found.errors, tuning.best, sizes
    interval = f"{100 * found.interval.low:.1f} to {100 * found.interval.high:.1f}"
    line = [
        name, f"{100 * errors.rate:.2f} %", interval, f"{100 * found.phones.rate:.2f} %",
        f"{errors.substitutions}/{errors.deletions}/{errors.insertions}",
        f"{best.lm_scale:g}, {best.word_penalty:g}", pdfs, gaussians, f"{minutes:.1f}",
    ]  # fmt: skip
    told("\t".join(map(str, line)))
    return line


def told(line: object) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Train, tune, decode, print."""
    made = parser(__doc__)
    made.add_argument("--corpus", choices=tuple(CORPORA), default="an4")
    made.add_argument("--stages", default="mono,tri,lda_mllt,sat", help="none of them: ''")
    made.add_argument("--rows", default="", help="show these stages only (default: all)")
    made.add_argument("--passes", type=int, default=0, help="passes of tdnn (default: 10) or of "
                      "chain, a fifth of these by cross-entropy (default: 20)")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--no-fold-in", dest="fold_in", action="store_false",
                      help="never learn from the tuning speakers")
    made.add_argument("--jobs", type=int, default=1, help="processes that train and decode")
    made.add_argument("--mean-over", choices=("utterance", "speaker"), default="speaker")
    made.add_argument("--tune", action="store_true", help="figures of the tuning speakers")
    made.add_argument("--adapted", action="store_true", help="en-us as it is and adapted, too")
    options = made.parse_args()
    task = CORPORA[options.corpus](options.data, options.work)
    shown = task.tune if options.tune else task.test
    texts = {*task.train.words, *(() if options.tune else task.tune.words)}
    unknown = sum(word not in texts for u in shown for word in u.words)
    print(f"trained on {len(task.train)} utterances of {len(task.train.speakers)} speakers; "
          f"figures of {len(shown)} utterances, {sum(len(u.words) for u in shown)} words "
          f"({unknown} not in others' texts) of {len(shown.speakers)} speakers")  # fmt: skip
    rows = list(stages(task, options)) if options.stages else []
    rows += list(en_us(task, options)) if options.adapted else []
    print_table(rows, HEADER)
    print(load_note())


if __name__ == "__main__":
    main()
