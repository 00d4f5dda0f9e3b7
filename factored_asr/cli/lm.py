"""Commands on n-gram language models: lm estimate, prune, interpolate, perplexity."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from factored_asr.cli.shared import add_command, add_group, add_rules, factor_options, say, writing
from factored_asr.errors import OptionError

if TYPE_CHECKING:
    from factored_asr.language import NGramModel

ABOUT = """\
Estimate, prune, interpolate and test n-gram language models.

Texts are read as people write them, plain or gzip: case and punctuation go, numbers are spelled
out, annotations such as [noise] are skipped. --as-is takes tokenised text, one sentence per line.
Without a file they are read from standard input. Models are ARPA files, plain or gzip (or Sphinx's
.lm.bin, read only); without -o they are written to standard output. A name that ends in .lm.zip is
written packed: 2 bytes an n-gram, with rounded probabilities."""

EXAMPLES = """\
examples:
  factored-asr lm estimate --order 3 letters.txt -o letters.arpa.gz
      a trigram model by interpolated modified Kneser-Ney smoothing
  factored-asr lm estimate --vocabulary my.dict < letters.txt > letters.arpa
      over the words of a dictionary; all others are <unk>
  factored-asr lm perplexity letters.arpa test.txt
      perplexity of a text, and its unknown words
  factored-asr lm interpolate letters.arpa news.arpa --tune heldout.txt -o mixed.arpa
      both in one, with the best weights for a held-out text
  factored-asr lm prune mixed.arpa --ngrams 500000 -o small.arpa
      the half million most useful n-grams
  factored-asr lm prune mixed.arpa --threshold 1e-9 -o mixed.lm.zip
      nearly all of them, packed into a small file
  factored-asr lm missing letters.arpa --words my.dict
      words of a model that no dictionary has, which are never recognised
"""


def estimate(options: argparse.Namespace) -> int:
    """Estimate a model from text, by interpolated modified Kneser-Ney smoothing.

    A word outside the vocabulary counts as <unk>; with --closed there is no <unk>, and n-grams with
    such a word are skipped."""
    from factored_asr.language import EstimateOptions, read_vocabulary
    from factored_asr.language import estimate as run

    vocabulary = None if options.vocabulary is None else read_vocabulary(options.vocabulary)
    settings = EstimateOptions(options.order, vocabulary, options.max_words, options.min_count,
                               not options.closed)
    skipped: Counter[str] = Counter()
    model = run(_sentences(options, options.texts, vocabulary or (), skipped), settings)
    if skipped and not options.quiet:
        shown = ", ".join(f"{text} ({n})" for text, n in skipped.most_common(20))
        more = f", and {len(skipped) - 20} more" if len(skipped) > 20 else ""
        say(f"skipped {skipped.total()} annotations and labels of speakers: {shown}{more}")
    return _write(model, options)


def _sentences(
    options: argparse.Namespace, texts: Sequence[str], words: Iterable[str],
    skipped: Counter[str] | None = None,
) -> Iterator[list[str]]:
    """Read texts by the rules that the options name; `words` is the vocabulary."""
    from factored_asr.language import read_sentences, read_vocabulary
    from factored_asr.language.text import in_the_case_of
    from factored_asr.language.written import AS_IS, TextRules

    if options.as_is:
        return read_sentences(*texts, rules=AS_IS)
    own = read_vocabulary(options.words) if getattr(options, "words", None) else ()
    known = {word.lower() for word in (*words, *own)}
    sentences = read_sentences(*texts, rules=TextRules.named(options.rules),
                               known=lambda word: word.lower() in known, skipped=skipped)
    return in_the_case_of(sentences, words)


def prune(options: argparse.Namespace) -> int:
    """Make a model smaller: drop the least useful n-grams, or those of some words.

    Back-off weights are recomputed, so that every history keeps its total probability."""
    from factored_asr import language
    from factored_asr.language.text import in_the_case_of

    given = (options.vocabulary, options.order, options.ngrams, options.threshold)
    if all(each is None for each in given):
        raise OptionError("say how: --threshold, --ngrams, --order or --vocabulary")
    model = language.read_lm(options.model)
    if options.vocabulary is not None:
        vocabulary = [list(language.read_vocabulary(options.vocabulary))]
        (words,) = in_the_case_of(vocabulary, model.vocabulary)
        model = language.restrict(model, words)
    if options.order is not None:
        model = language.truncate(model, options.order)
    if options.ngrams is not None:
        model = language.prune_to(model, options.ngrams)
    if options.threshold is not None:
        model = language.prune(model, options.threshold)
    return _write(model, options)


def interpolate(options: argparse.Namespace) -> int:
    """Interpolate models: every probability is the weighted mean of the models' probabilities.

    --tune finds the weights that maximise the probability of a text, which should not be training
    text of any model."""
    from factored_asr import language

    models = [language.read_lm(path) for path in options.models]
    if options.tune is not None:
        words = {word for model in models for word in model.vocabulary}
        weights = language.mixture_weights(models, _sentences(options, [options.tune], words))
    else:
        weights = options.weights or (1.0,) * len(models)
    mixed = language.interpolate(models, weights)
    if not options.quiet:
        for path, weight in zip(options.models, weights, strict=True):
            say(f"{weight / sum(weights):.4f}  {path}")
    return _write(mixed, options)


def perplexity(options: argparse.Namespace) -> int:
    """Compute the perplexity of a text: exp(-log probability / words), ends of sentences included.

    It is printed without the words that the model does not know and, if it has <unk>, with them."""
    from factored_asr import language

    model = language.read_lm(options.model)
    sentences = _sentences(options, options.texts, model.vocabulary)
    if options.each_word:
        return _print_words(model, sentences)
    score = language.score_text(model, sentences)
    for name, value in {
        "sentences": score.n_sentences, "words": score.n_words,
        "unknown words": f"{score.n_unknown} ({100 * score.unknown_rate:.2f} %)",
        "log10 probability": f"{language.common_log(score.log_prob):.3f}",
        "perplexity": f"{score.perplexity:.3f}",
        "perplexity with unknown words": f"{score.perplexity_with_unknown:.3f}",
    }.items():
        print(f"{name}\t{value}")
    return 0


def missing(options: argparse.Namespace) -> int:
    """Print the words of a model that the dictionary lacks, one a line: they are never recognised.

    The exit code is 1 if there are any."""
    from factored_asr.cli.shared import recipe_of
    from factored_asr.language import read_lm
    from factored_asr.language.ngram import BEGIN, END, UNKNOWN

    words = (w for w in read_lm(options.lm).vocabulary if w not in (BEGIN, END, *UNKNOWN))
    found = recipe_of(options).read_lexicon().missing(words)
    for word in found:
        print(word)
    return 1 if found else 0


def _print_words(model: NGramModel, sentences: Any) -> int:
    from factored_asr.language import common_log, score_words

    for sentence in sentences:
        for each in score_words(model, sentence):
            print(f"{common_log(each.log_prob):.4f}\t{each.n_matched}\t{each.word}")
        print()
    return 0


def _write(model: NGramModel, options: argparse.Namespace) -> int:
    from factored_asr.language import write_arpa, write_packed

    with writing(options.output):
        packed = options.output.endswith(".lm.zip")
        (write_packed if packed else write_arpa)(model, options.output)
    if not options.quiet:
        say(", ".join(f"{n:,} {k}-grams" for k, n in enumerate(model.counts, start=1)))
    return 0


def _weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(weight) for weight in text.split(","))
    except ValueError:
        law = f"weights are numbers with commas between, such as 0.7,0.3, not {text!r}"
        raise argparse.ArgumentTypeError(law) from None


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    group = add_group(commands, "lm", "estimate, prune, mix and test language models", ABOUT,
                      EXAMPLES)
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("-o", "--output", default="-", metavar="ARPA",
                        help="write here: gzip if it ends in .gz, packed if in .lm.zip (default: "
                        "standard output)")
    output.add_argument("--quiet", action="store_true", help="no counts on standard error")
    command = partial(add_command, group, examples=EXAMPLES)
    _add_estimate(command("estimate", estimate, "from text", output))
    _add_prune(command("prune", prune, "fewer n-grams", output))

    parser = command("interpolate", interpolate, "several into one", output)
    parser.add_argument("models", nargs="+", metavar="LM")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=_weights, metavar="W,W,...",
                         help="one for each model (default: equal)")
    weights.add_argument("--tune", metavar="TEXT", help="find the best weights for this text")
    _add_rules(parser)

    parser = command("perplexity", perplexity, "perplexity of a text")
    parser.add_argument("model", metavar="LM")
    _add_texts(parser)
    parser.add_argument("--words", action="store_true", dest="each_word", help="every word: log10 "
                        "probability, words in the longest n-gram found, and the word")
    _add_rules(parser)

    parser = command("missing", missing, "words that no dictionary has", factor_options())
    parser.add_argument("lm", metavar="LM")


def _add_estimate(parser: argparse.ArgumentParser) -> None:
    _add_texts(parser)
    parser.add_argument("--order", type=int, default=3, help="words in the longest n-grams "
                        "(default: 3); 4 or 5 need many millions of words")
    parser.add_argument("--vocabulary", metavar="FILE",
                        help="the model's words: the first field of each line, as in a dictionary")
    parser.add_argument("--max-words", type=int, default=0, metavar="N",
                        help="keep the N most frequent words (default: all)")
    parser.add_argument("--min-count", type=int, default=1, metavar="N",
                        help="keep words that occur N times or more (default: 1)")
    parser.add_argument("--closed", action="store_true", help="no <unk>")
    parser.add_argument("--words", metavar="DICT", help="words that are never split or spelled "
                        "out, such as mp3 or wi-fi: those of the dictionary for --words later")
    _add_rules(parser)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="LM")
    parser.add_argument("--threshold", type=float, metavar="X", help="entropy pruning: drop "
                        "n-grams whose loss raises perplexity by less than this share; 1e-8 is "
                        "usual")
    parser.add_argument("--ngrams", type=int, metavar="N", help="entropy pruning: keep the N "
                        "most useful n-grams, unigrams included")
    parser.add_argument("--order", type=int, metavar="N", help="drop n-grams of more words")
    parser.add_argument("--vocabulary", metavar="FILE", help="drop all other words, without "
                        "renormalising")


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as-is", action="store_true", help="the text is tokenised: a sentence a "
                        "line, its words as they are, with blanks between")
    add_rules(parser)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="*", default=["-"], metavar="TEXT",
                        help="text files (default: standard input)")
