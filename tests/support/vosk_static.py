"""The model of `vosk_files` with a static graph: the one that its look-ahead pair gives."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from factored_asr.graph import Graph, build_graph
from factored_asr.models.importers.vosk import VoskFiles, read_vosk_model
from support import vosk_files as files


def graph_of(folder: Path) -> Graph:
    """The graph of dictation of a folder with the look-ahead pair; its labels are ours."""
    found = VoskFiles.find(folder)
    assert found is not None
    model = read_vosk_model(found)
    assert model.lexicon is not None and model.lm is not None
    made = build_graph(model.acoustic, model.lexicon, model.lm, model.dictation.graph)
    crossed = made.arcs["cost"] < np.inf  # others lead to what may be added at run time
    plain = Graph.from_arcs(made.sources[crossed], made.arcs[crossed], made.final, made.start)
    return replace(
        plain, words=made.words, phones=made.phones, silence_phones=made.silence_phones,
        frame_seconds=made.frame_seconds).with_labels(made.labels)


def openfst(graph: Graph, kind: str) -> bytes:
    """The graph as a file of OpenFst, ``const`` or ``vector``, that reads transition-ids."""
    # of each transition state the even pdf is that of entering it, the odd one that of staying
    pdf = graph.label_pdf[graph.arcs["label"]]
    reads = np.where(pdf < 0, 0, pdf // 2 * 2 + 2 - pdf % 2)
    arcs = [struct.pack("<iifi", label, *arc[1:])
            for label, arc in zip(reads.tolist(), graph.arcs.tolist(), strict=True)]
    head = files.header(kind, graph.start, graph.n_states, graph.n_arcs)
    parts = [head.replace(b"standard\1", b"standard\2")]  # the version that OpenFst reads of both
    for state, cost in enumerate(graph.final.tolist()):
        first, end = graph.first_arc[state : state + 2].tolist()
        if kind == "vector":
            parts += [struct.pack("<fq", cost, end - first), *arcs[first:end]]
        else:
            parts.append(struct.pack("<fIIII", cost, first, end - first, 0, 0))
    return b"".join([*parts, *(arcs if kind == "const" else ())])


def write_static(folder: Path, kind: str = "const", lexicon: str = "int") -> Path:
    """Write the model with ``HCLG.fst`` in place of the look-ahead pair; return the folder.

    `lexicon`: the ending of ``align_lexicon``; empty for none.
    """
    graph, place = graph_of(files.write_vosk(folder)), folder / "graph"
    (place / "HCLG.fst").write_bytes(openfst(graph, kind))
    for name in ("HCLr.fst", "Gr.fst"):
        (place / name).unlink()
    table = dict(enumerate(graph.words)) | {len(graph.words): "<unk>"}
    (place / "words.txt").write_text(
        "".join(f"{name} {number}\n" for number, name in table.items()))
    names = [line.split()[0] for line in (place / "phones.txt").read_text().splitlines()]
    rows = [("<eps>", "<eps>", "SIL"), ("<unk>", "<unk>", "SIL")]
    rows += [(name, name, *(names[number] for number in files.spelled(phones)))
             for name, ways in files.WORDS.items() for phones, _ in ways]
    if lexicon == "int":
        number_of = {name: number for number, name in table.items()}
        rows = [(*(str(number_of[name]) for name in row[:2]),
                 *(str(names.index(name)) for name in row[2:])) for row in rows]
    if lexicon:
        (place / f"phones/align_lexicon.{lexicon}").write_text(
            "".join(" ".join(row) + "\n" for row in rows))
    return folder
