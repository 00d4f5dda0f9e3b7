"""Commands that measure: score, compare."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli.shared import (
    add_command,
    add_normalise,
    progress_bar,
    report_options,
    say,
    writing,
)
from factored_asr.errors import OptionError
from factored_asr.storage.writing import ESCAPE

MAX_NAMED = 20  # reasons of failures

if TYPE_CHECKING:
    from factored_asr.compare.result import Answer
    from factored_asr.evaluation.normalise import Rules

EXAMPLES = """\
examples:
  factored-asr score ref.trn hyp.trn
      errors by kind, speaker and utterance, with the alignment of every error
  factored-asr score ref.stm ours.ctm theirs.ctm --brief
      two systems by the times of their words, and whether their difference may be chance
  factored-asr score corpus.tsv heard.jsonl --normalise case,punctuation,digits
      what transcribe --format json wrote; "Twenty-one!" is 21
  factored-asr score labels.json heard.jsonl --format json
      commands: intents, slots, false actions
  factored-asr score ref.trn hyp.trn --weights sclite --speaker '^([^-_]+)'
      aligned as by NIST's sclite; the speaker is the beginning of an id
"""

COMPARE_EXAMPLES = """\
systems:
  ours[:model=DIR,lm=x.arpa,lexicon=DICT,guess=yes,beam=N,max_active=N]
  pocketsphinx[:OPTION=VALUE,...]     its own options, such as lw=8
  moonshine[:model=DIR,arch=tiny]     pip install 'factored-asr[compare]'; its wheel has tiny-en
  whisper[:model=tiny.en,language=en] where openai-whisper is installed
  vosk:model=DIR                      where vosk is installed
  command:'PROGRAM {file}'            any program that prints a transcript of a wav file
  Each may have name=LABEL among its options, for the table.

examples:
  factored-asr compare speech/ ours pocketsphinx
      word errors on a corpus, compared with pocketsphinx with the same models
  factored-asr compare speech/ ours ours:lm=big.arpa,name=big --html report.html
      two set-ups, with plots and a browser of errors
  factored-asr compare coffee/clean ours pocketsphinx moonshine --labels coffee/labels.json \\
      --grammar coffee.yaml --noise kitchen.flac --snr clean,24,15,6 --journal coffee.jsonl
      accuracy on commands, clean and in noise; an interrupted run is continued
"""


def score(options: argparse.Namespace) -> int:
    """Count the errors of hypotheses against a reference, and compare systems.

    Files are trn, stm, ctm, tsv, Kaldi's text, or json lines. A missing utterance counts as an
    empty hypothesis; missing and additional utterances are reported, and the exit code is 1. Two or
    more systems are compared by a paired bootstrap and by the matched-pairs sentence-segment word
    error test.

    Rules make texts comparable (--normalise, in this order: case, fillers, punctuation, numbers,
    digits), references and hypotheses alike; the result shows which were used.
    """
    from factored_asr.evaluation.normalise import Rules
    from factored_asr.evaluation.report import ScoreOptions, score_files
    from factored_asr.evaluation.transcripts import Transcripts

    rules = Rules.named(options.normalise, options.replace)
    reference = Transcripts.read(options.reference, options.reference_format)
    systems = [Transcripts.read(file, options.hypothesis_format) for file in options.hypothesis]
    report = score_files(reference, systems, ScoreOptions(
        rules, options.weights, options.interval_over, options.seed, options.speaker
    ))
    print(report.to_json() if options.format == "json" else report.describe(not options.brief))
    tell_skipped(rules, (each.text or "" for file in (reference, *systems)
                         for each in file.entries.values()))
    for system in report.systems:
        for ids, why in ((system.missing, "not in the hypotheses, counted as empty"),
                         (system.extra, "not in the reference, left out")):
            if ids:
                named = ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "")
                say(f"{system.name}: {len(ids)} utterances {why}: {named}")
    return 0 if report.complete else 1


def tell_skipped(rules: Rules, texts: Iterable[str]) -> None:
    """Print which annotations of texts were left out."""
    skipped = Counter(note for text in texts for note in rules.skipped(text))
    if skipped:
        named = ", ".join(note if n == 1 else f"{note} ({n})" for note, n in
                          skipped.most_common(20))
        more = " …" if len(skipped) > 20 else ""
        say(f"{skipped.total()} annotations are skipped: {named}{more}")


def compare(options: argparse.Namespace) -> int:
    """Compare recognisers on the same sounds: accuracy, speed, latency, memory, size.

    CORPUS is a corpus with texts in any layout of evaluate, and word errors are counted. Or, with
    --labels and --grammar, a folder of spoken commands, and accepted commands are counted: intent
    and every labelled slot right. Ours and pocketsphinx (as JSGF) take the grammar; the texts of
    the others are read by the grammar and our rules of speech.

    Each system runs in its own process on one core, and all take turns, sound by sound. The
    real-time factor is seconds of work per second of sound. The time of the first word counts from
    the start of a streamed sound. Memory is the peak over whole sounds; the model's size is that of
    the files it needs. Failed files count as wrong.
    """
    from factored_asr.compare.material import conditions, read_labelled, read_spoken
    from factored_asr.compare.page import as_html
    from factored_asr.compare.run import CompareOptions
    from factored_asr.compare.run import compare as run
    from factored_asr.compare.systems import SystemSpec
    from factored_asr.evaluation.normalise import Rules
    from factored_asr.models.bundle import packaged

    if options.every < 1 or options.latency_files < 0:
        raise OptionError("--every must be at least 1, --latency-files at least 0")
    if options.labels and not options.grammar:
        raise OptionError("--labels needs --grammar, which reads the texts")
    items = (
        read_labelled(options.corpus, options.labels) if options.labels
        else read_spoken(options.corpus, options.layout)
    )[:: options.every]
    with ExitStack() as stack:
        result = run(items, [SystemSpec.parse(each) for each in options.system], CompareOptions(
            options.grammar and packaged(options.grammar), options.noise and Path(options.noise),
            conditions(options.snr, bool(options.noise)),
            Rules.named(options.normalise, options.replace), options.latency_files,
            options.journal and Path(options.journal), options.seed,
        ), progress_bar(stack, "comparing", options.quiet))
    for file, content in ((options.json, result.to_json), (options.html, lambda: as_html(
            result, f"Recognisers on {options.corpus}"))):
        if file:
            with writing(file):
                Path(file).write_text(content(), encoding="utf-8", errors=ESCAPE)
    print(result.describe())
    return _say_failures([answer for row in result.rows for answer in row.answers if answer.error])


def _say_failures(failed: Sequence[Answer]) -> int:
    """Print why sounds failed, each reason once; return the exit code."""
    reasons = list(dict.fromkeys(
        each.error if each.error.startswith(each.item) else
        f"{each.item}: {each.system}: {each.error}" for each in failed
    ))
    for reason in reasons[:MAX_NAMED]:
        say(reason)
    if len(reasons) > MAX_NAMED:
        say(f"… and {len(reasons) - MAX_NAMED} more")
    return 1 if failed else 0


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    _add_score(commands)
    _add_compare(commands)


def _add_compare(commands: Any) -> None:
    parser = add_command(commands, "compare", compare, "compare recognisers on the same sounds",
                         examples=COMPARE_EXAMPLES)
    parser.add_argument("corpus", metavar="CORPUS", help="a corpus, or a folder of commands")
    parser.add_argument("system", metavar="SYSTEM", nargs="+", help="see below")
    parser.add_argument("--layout", default="auto", metavar="NAME",
                        help="tsv, kaldi, sphinx, librispeech, ljspeech, commonvoice, mfa, names "
                        "(default: by what is there)")
    parser.add_argument("--labels", metavar="JSON", help="labels of commands: an object of file "
                        "names, each with intent and slots")
    parser.add_argument("--grammar", metavar="FILE", help="grammar of commands")
    parser.add_argument("--noise", metavar="FILE", help="sound to mix the speech with")
    parser.add_argument("--snr", default="clean", metavar="LIST", help="conditions: clean and "
                        "signal-to-noise ratios in decibels, with commas (default: clean)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth sound only")
    parser.add_argument("--normalise", default="all", metavar="RULES", help="as for score "
                        "(default: all)")
    parser.add_argument("--replace", metavar="FILE", help="as for score")
    parser.add_argument("--latency-files", type=int, default=10, metavar="N",
                        help="sounds to stream as from a microphone (default: 10)")
    parser.add_argument("--journal", metavar="FILE", help="file that keeps every answer; an "
                        "interrupted run continues from it")
    parser.add_argument("--json", metavar="FILE", help="write all figures and answers")
    parser.add_argument("--html", metavar="FILE", help="write a self-contained report")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _add_score(commands: Any) -> None:
    parser = add_command(commands, "score", score, "word errors of transcripts; compare systems",
                         report_options(), examples=EXAMPLES)
    parser.add_argument("reference", metavar="REF", help="reference texts or meanings")
    parser.add_argument("hypothesis", metavar="HYP", nargs="+", help="hypotheses of a system")
    add_normalise(parser)
    parser.add_argument("--weights", default="levenshtein", choices=("levenshtein", "sclite"),
                        help="fewest errors, or sclite's 4 for a substitution, 3 for the others")
    parser.add_argument("--speaker", default="", metavar="REGEX",
                        help="its first group, matched in the id, is the speaker")
    for side in ("reference", "hypothesis"):
        parser.add_argument(f"--{side}-format", default="auto", metavar="NAME",
                            help="trn, stm, ctm, tsv, csv, kaldi, json (default: by the file's "
                            "name)")
