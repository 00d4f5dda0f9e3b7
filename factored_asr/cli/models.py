"""Commands on models and graphs: compile, import, info."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared

if TYPE_CHECKING:
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.settings import DecodeOptions


EXAMPLES = """\
examples:
  factored-asr compile --grammar lm/smart_home.yaml
      into the cache, so that the first command need not wait
  factored-asr compile --lm news.arpa --output news.fst
      the arcs as a file of OpenFst
  factored-asr compile --model en-us-network --output dictation.graph
      a folder; elsewhere: factored-asr transcribe --model en-us-network --graph dictation.graph
  factored-asr import exp/tri3/ --lexicon my.dict --lm my.arpa --output my_model
      a model of Kaldi as a folder that --model reads
  factored-asr import vosk-model-small-ko-0.22/ --output ko
      a model of Vosk, with its dictionary and language model
"""


def compile_graph(options: argparse.Namespace) -> int:
    """Compile a graph into the cache, or into a file."""
    recipe = shared.recipe_of(options)
    with ExitStack() as stack:
        model = recipe.bundle.acoustic_model()
        graph = recipe.graph(model, shared.progress(stack, options.quiet))
        if options.output is None:
            recipe.background(model)
    where = options.output
    if where is None:
        from factored_asr.storage.cache import cache_folder

        where = cache_folder() / recipe.plain.key()
    else:
        with shared.writing(where):
            if where.endswith(".fst"):
                graph.write_openfst(where)
            else:
                graph.write(where, recipe.plain.key())
    megabytes = graph.arcs.nbytes / 1e6
    print(f"{where}\t{graph.n_states} states, {graph.n_arcs} arcs ({megabytes:.1f} MB), "
          f"{len(graph.words) - 1} words, {len(graph.pdfs)} pdfs")
    return 0


def import_model(options: argparse.Namespace) -> int:
    """Convert a model of Sphinx, Kaldi or Vosk to a model folder.

    A folder of a Kaldi GMM holds final.mdl, tree and phones.txt, and final.mat if features are
    transformed. A folder of Vosk, or of a Kaldi chain model, holds am/final.mdl, conf/mfcc.conf,
    graph/HCLr.fst, graph/Gr.fst and ivector/, as it is downloaded; or all of these in one folder.
    A graph/HCLG.fst with graph/words.txt, in place of the two others, serves dictation as it is.
    """
    from factored_asr.graph import Graph
    from factored_asr.language import is_kenlm_binary, read_lm
    from factored_asr.lexicon import Lexicon
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.folder import About, write_model

    bundle = Bundle.find(options.source)
    model = bundle.acoustic_model()
    lexicon, lm = options.lexicon or bundle.lexicon, options.lm or bundle.lm
    if lm and lm != bundle.lm and not is_kenlm_binary(lm):
        read_lm(lm)  # raises if the file is broken
    about = About(origin=options.origin or Path(options.source).name,
                  licences={"model": options.licence} if options.licence else {},
                  settings=bundle.folder.about.settings if bundle.folder else {})
    graph = Graph.read(bundle.graph) if bundle.graph and not lm else None
    write_model(options.output, model, lexicon=Lexicon.read(lexicon) if lexicon else None, lm=lm,
                about=about, graph=graph)
    print(f"{options.output}\t{len(model.phones)} phones, {model.n_pdfs} pdfs")
    return 0


def info(options: argparse.Namespace) -> int:
    """Describe a model, or list the cache."""
    from factored_asr.storage import cache

    if options.clear_cache:
        print(f"{cache.cache_folder()}: {cache.clear() / 1e6:.1f} MB removed")
        return 0
    if options.cache:
        print(cache.cache_folder())
        for entry in cache.entries():
            about = entry.about
            print(f"{entry.path.name}\t{entry.n_bytes / 1e6:.1f} MB\t{about.get('kind', '?')}\t"
                  f"{about.get('model', '?')} + {about.get('language', '?')}\t"
                  f"{about.get('arcs', '?')} arcs\t{about.get('made', '?')}")
        return 0
    from factored_asr.models.bundle import Bundle

    for name, value in _facts(Bundle.find(options.model)):
        print(f"{name}\t{value}")
    return 0


def _facts(bundle: Bundle) -> Iterator[tuple[str, object]]:
    """Yield what `info` prints of a model: name and value of each fact."""
    yield "model", bundle.name
    if bundle.folder is not None:
        yield "origin", bundle.folder.about.origin or "not said"
        yield from ((f"licence of {of}", what) for of, what in bundle.folder.about.licences.items())
        yield "size", f"{bundle.folder.n_bytes / 1e6:.1f} MB"
    yield "acoustic", bundle.acoustic
    yield "lexicon", bundle.lexicon or "none: give one by --lexicon"
    own = "in a graph of dictation that came with the model" if bundle.graph else None
    yield "language", bundle.lm or own or "none: give one by --lm, or a grammar"
    yield from bundle.acoustic_model().describe().items()
    for kind in ("dictation", "commands", "conversation"):
        settings: DecodeOptions = getattr(bundle, kind)
        yield kind, (f"LM scale {1 / settings.acoustic_scale:.3g}, "
                     f"word penalty {settings.graph.word_penalty:g}, beam {settings.beam.beam:g}")
    for entry in bundle.folder.about.training if bundle.folder else ():
        yield "trained", ", ".join(f"{name} {value}" for name, value in entry.items())


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = shared.add_command(commands, "compile", compile_graph, "compile a graph ahead of time",
                                shared.source_options(), examples=EXAMPLES)
    parser.add_argument("--output", "-o", metavar="PATH", help="write here: a folder, which "
                        "--graph reads on any machine, or a file .fst")

    parser = shared.add_command(commands, "import", import_model,
                                "convert a model of Kaldi, Vosk or Sphinx", examples=EXAMPLES)
    parser.add_argument("source", metavar="FOLDER",
                        help="of Kaldi (final.mdl), Vosk (am/final.mdl) or Sphinx (mdef)")
    parser.add_argument("--output", required=True, metavar="MODEL", help="the new model's folder")
    parser.add_argument("--lexicon", metavar="DICT", help="dictionary of the model")
    parser.add_argument("--lm", metavar="ARPA", help="language model of the model")
    parser.add_argument("--origin", metavar="TEXT", help="where it comes from, for `info`")
    parser.add_argument("--licence", metavar="TEXT", help="of the model, for `info`")

    parser = shared.add_command(commands, "info", info, "describe a model, list the cache")
    parser.add_argument("model", nargs="?", help="en-us-network, en-us, or a model folder "
                        "(default: the one that is used where none is named)")
    parser.add_argument("--cache", action="store_true", help="list the compiled graphs")
    parser.add_argument("--clear-cache", action="store_true", help="remove the compiled graphs")
