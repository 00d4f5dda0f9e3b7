"""Commands on models and graphs: compile, info."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from factored_asr.cli.shared import add_command, factor_options, progress, recipe_of, source_options
from factored_asr.errors import OptionError


def compile_graph(options: argparse.Namespace) -> int:
    """Compile a graph into the cache, or into a file."""
    recipe = recipe_of(options)
    with ExitStack() as stack:
        graph = recipe.graph(recipe.bundle.acoustic_model(), progress(stack, options.quiet))
    if options.output is None:
        from factored_asr.cache import cache_folder

        where = str(cache_folder() / recipe.key())
    else:
        where = options.output
        try:
            (graph.write_openfst if where.endswith(".fst") else graph.write)(where)
        except OSError as error:
            raise OptionError(f"{where}: cannot be written: {error.strerror}") from error
    megabytes = graph.arcs.nbytes / 1e6
    print(f"{where}\t{graph.n_states} states, {graph.n_arcs} arcs ({megabytes:.1f} MB), "
          f"{len(graph.words) - 1} words, {len(graph.pdfs)} pdfs")
    return 0


def info(options: argparse.Namespace) -> int:
    """Say what a model is, or what the cache holds."""
    from factored_asr import cache

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
    from factored_asr.bundle import Bundle

    bundle = Bundle.find(options.model)
    model = bundle.acoustic_model()
    for name, value in {
        "model": bundle.name, "acoustic": bundle.acoustic, "lexicon": bundle.lexicon,
        "language": bundle.lm, "phones": len(model.phones), "pdfs": model.n_pdfs,
        "hmms": len(model.hmm_pdfs), "sample rate": f"{model.features.sample_rate} Hz",
        "features": model.features.n_features, "frame": f"{model.frame_seconds} s",
    }.items():
        print(f"{name}\t{value}")
    return 0


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    sources = source_options(factor_options())
    parser = add_command(
        commands, "compile", compile_graph, "compile a graph ahead of time", sources
    )
    parser.add_argument("--output", metavar="PATH", help="write here: a folder, or a file .fst")

    parser = add_command(commands, "info", info, "what a model is; what the cache holds")
    parser.add_argument("model", nargs="?", default="en-us", help="en-us, or a model folder")
    parser.add_argument("--cache", action="store_true", help="list the compiled graphs")
    parser.add_argument("--clear-cache", action="store_true", help="remove the compiled graphs")
