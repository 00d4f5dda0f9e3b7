"""Commands on transcripts: score."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from factored_asr.cli.shared import add_command

EXAMPLES = """\
examples:
  factored-asr score ref.trn hyp.trn
      errors by kind, speaker and utterance, with the alignment of every error
  factored-asr score ref.stm ours.ctm theirs.ctm --brief
      two systems by the times of their words, and whether their difference may be chance
  factored-asr score corpus.tsv heard.jsonl --normalise case,punctuation,digits
      what transcribe --format json wrote; "Twenty-one!" is 21
  factored-asr score labels.json heard.jsonl --format json
      commands: intents, slots, actions that nobody asked for
  factored-asr score ref.trn hyp.trn --weights sclite --speaker '^([^-_]+)'
      aligned as NIST's sclite does; speakers are the ids' beginnings
"""


def score(options: argparse.Namespace) -> int:
    """Count what hypotheses have wrong against a reference, and compare systems.

    Files are trn, stm, ctm, tsv, text of Kaldi, or json lines. An utterance that a system lacks
    counts as if nothing had been heard; it is named, and so is one that the reference lacks: the
    exit code is 1 then. Two or more systems are compared by a paired bootstrap and by the
    matched-pairs sentence-segment word error test.

    Rules make texts comparable (--normalise, in this order: case, punctuation, fillers, digits),
    for references and hypotheses alike; those that were used stand below the result.
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
    for system in report.systems:
        for ids, why in ((system.missing, "not in the hypotheses, counted as not heard"),
                         (system.extra, "not in the reference, left out")):
            if ids:
                named = ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "")
                print(f"factored-asr: {system.name}: {len(ids)} utterances {why}: {named}",
                      file=sys.stderr)
    return 0 if report.complete else 1


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = add_command(
        commands, "score", score, "word errors of transcripts, systems compared", examples=EXAMPLES
    )
    parser.add_argument("reference", metavar="REF", help="what was said, or asked for")
    parser.add_argument("hypothesis", metavar="HYP", nargs="+", help="what a system heard")
    parser.add_argument("--format", default="text", choices=("text", "json"),
                        help="text: for people; json: one object with every alignment")
    parser.add_argument("--brief", action="store_true", help="no alignments")
    parser.add_argument("--normalise", default="case", metavar="RULES",
                        help="of case, punctuation, fillers, digits, with commas between; all; "
                        "none (default: case)")
    parser.add_argument("--replace", metavar="FILE", help='lines "old words => new words", as in '
                        "the plain part of NIST's GLM files")
    parser.add_argument("--weights", default="levenshtein", choices=("levenshtein", "sclite"),
                        help="fewest errors, or sclite's 4 for a substitution, 3 for the others")
    parser.add_argument("--speaker", default="", metavar="REGEX",
                        help="its first group, of an utterance's id, is the speaker")
    parser.add_argument("--interval-over", choices=("speakers", "utterances"),
                        help="what the bootstrap draws (default: speakers if there are 8 or more)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    for side in ("reference", "hypothesis"):
        parser.add_argument(f"--{side}-format", default="auto", metavar="NAME",
                            help="trn, stm, ctm, tsv, kaldi, json (default: by the file's name)")
