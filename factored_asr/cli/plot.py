"""The command plot: a picture of each stage."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.cli.recognise import add_text, aligned
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from factored_asr.acoustic.gmm.model import GmmModel
    from factored_asr.lattice import Lattice
    from factored_asr.results.alignment import Alignment
    from factored_asr.results.transcript import Transcript

EXAMPLES = """\
examples:
  factored-asr plot --grammar lm/smart_home.yaml command.wav -o command.png
      waveform, spectrogram, the recognised words and their phones
  factored-asr plot letter.wav "dear sir or madam" -o letter.svg
      the same with a known text
  factored-asr plot --stage confusion letter.wav -o confusion.png
      the words of the result with their competitors, slot by slot
  factored-asr plot --stage gaussians --model en-us --phone AA --state 1 -o aa.png
      the Gaussians of a state of a phone
  factored-asr plot --stage language --lm small.arpa -o lm.png
      the commonest words of a language model as a graph
"""


def plot(options: argparse.Namespace) -> int:
    """Draw a stage. Of a sound: its words and phones, its lattice, its confusion network. Of a
    model: its filters, the Gaussians or the decision tree of a phone, its language model."""
    from factored_asr.plots import save

    stage = "lattice" if options.lattice else options.stage
    of_sound = stage in ("sound", "lattice", "confusion")
    if of_sound == (options.file is None):
        law = "needs a sound file" if of_sound else "takes no sound file"
        raise OptionError(f"--stage {stage} {law}")
    if stage != "sound" and (options.text is not None or options.text_file is not None):
        raise OptionError(f"--stage {stage} draws the recognised words: give no text")
    save(STAGES[stage](options), options.output)
    return 0


def _sound(options: argparse.Namespace) -> Any:
    from factored_asr.audio.reading import read_audio
    from factored_asr.plots import plot_utterance

    raw = shared.raw_rate(options, options.file)
    sound, rate = read_audio(options.file, array_rate=raw)  # once: it may be a pipe
    found: Alignment | Transcript
    if options.text is not None or options.text_file is not None:
        found = aligned(options, sound, rate)
    else:
        found = shared.recognizer_of(options).transcribe(sound, sample_rate=rate)
    if found.reason and not options.quiet:
        shared.say(f"{options.file}: {found.reason}")
    return plot_utterance(sound, found, sample_rate=rate)


def _lattice(options: argparse.Namespace) -> Any:
    from factored_asr.plots import plot_lattice

    return plot_lattice(_lattice_of(options))


def _confusion(options: argparse.Namespace) -> Any:
    from factored_asr.lattice import confusion_network
    from factored_asr.plots import plot_confusion

    return plot_confusion(confusion_network(_lattice_of(options)))


def _lattice_of(options: argparse.Namespace) -> Lattice:
    options.lattice = True  # the search keeps one
    recognizer = shared.recognizer_of(options)
    raw = shared.raw_rate(options, options.file)
    lattice = recognizer.transcribe(options.file, sample_rate=raw).lattice
    if lattice is None or not lattice.n_nodes:
        raise FactoredASRError(f"{options.file}: no speech, no lattice")
    return lattice


def _filterbank(options: argparse.Namespace) -> Any:
    from factored_asr.plots import plot_filterbank

    return plot_filterbank(_gmm(options).features)


def _gaussians(options: argparse.Namespace) -> Any:
    from factored_asr.plots import plot_gaussians

    return plot_gaussians(_gmm(options), _phone(options), options.state)


def _tree(options: argparse.Namespace) -> Any:
    from factored_asr.plots import plot_tree

    tree = _gmm(options).tree
    if tree is None:
        raise OptionError(f"model {options.model} has no decision tree: train one with --stages "
                          "mono,tri")
    return plot_tree(tree, _phone(options), options.state, depth=options.depth)


def _language(options: argparse.Namespace) -> Any:
    from factored_asr.plots import language_graph, plot_graph

    recipe = shared.recipe_of(options)
    language = recipe.read_grammar() if recipe.grammar else recipe.first_language()
    graph = language_graph(language, options.n_words)
    return plot_graph(graph, labels=graph.words)


def _phone(options: argparse.Namespace) -> str:
    if not options.phone:
        raise OptionError(f"--stage {options.stage} needs --phone")
    return str(options.phone)


def _gmm(options: argparse.Namespace) -> GmmModel:
    from factored_asr.acoustic.gmm.model import GmmModel

    model = shared.recipe_of(options).bundle.acoustic_model()
    if not isinstance(model, GmmModel):
        raise OptionError(f"--stage {options.stage} draws a model of Gaussian mixtures, and "
                          f"{options.model} is a network: use --model en-us")
    return model


STAGES: dict[str, Callable[[argparse.Namespace], Any]] = {
    "sound": _sound, "filterbank": _filterbank, "gaussians": _gaussians, "tree": _tree,
    "language": _language, "lattice": _lattice, "confusion": _confusion,
}


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = shared.add_command(commands, "plot", plot, "a picture of a sound, or of a stage",
                                shared.source_options(), shared.search_options(),
                                examples=EXAMPLES)
    add_text(parser, needs_file=False)
    shared.add_raw(parser)
    parser.add_argument("--stage", default="sound", choices=tuple(STAGES),
                        help="what to draw; filterbank, gaussians and tree need a model of "
                        "Gaussian mixtures and no sound, language needs no sound (default: sound)")
    parser.add_argument("--phone", metavar="PHONE", help="of gaussians and tree, such as AA")
    parser.add_argument("--state", type=int, default=0, metavar="N",
                        help="of the phone, from 0 (default: 0)")
    parser.add_argument("--depth", type=int, default=4, metavar="N",
                        help="questions in a row of a tree at most (default: 4)")
    parser.add_argument("--n-words", type=int, default=6, metavar="N",
                        help="words of an n-gram model in the picture (default: 6)")
    parser.add_argument("--lattice", action="store_true", help="the same as --stage lattice")
    parser.add_argument("-o", "--output", required=True, metavar="IMAGE",
                        help="write here: .png, .svg, .pdf")
