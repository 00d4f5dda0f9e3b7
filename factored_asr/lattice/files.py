"""Lattices as text: Kaldi's CompactLattice, HTK's standard lattice format, Graphviz's dot.

Costs in files are not scaled: acoustic costs are divided by the lattice's acoustic scale when
written and multiplied by it when read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.lattice.draft import Draft, DraftArc
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.posteriors import arc_posteriors
from factored_asr.storage.reading import read_text
from factored_asr.storage.writing import ESCAPE

EPSILON = "<eps>"
SLF_SILENCES = frozenset({"!NULL", "!SENT_START", "!SENT_END", "<s>", "</s>", "<sil>", "<eps>"})
"""Names in HTK's format that are no words."""
HTK_PERIOD = 0.01
"""Seconds, the usual TARGETRATE of HTK's book: the format does not state the time step."""


def write_lattices(lattices: Mapping[str, Lattice], path: str | Path) -> None:
    """Write lattices by utterance, in the format of the file's suffix.

    ``.slf`` is HTK's standard lattice format and ``.dot`` Graphviz's with posteriors, each for one
    utterance; any other suffix is Kaldi's text format. OptionError: several utterances in a format
    for one, an HTK lattice of unknown frame length, or a file that cannot be written.
    """
    end = Path(path).suffix
    if end in (".slf", ".dot") and len(lattices) != 1:
        raise OptionError(f"{path}: one lattice goes into a file {end}, got {len(lattices)}")
    try:
        if end not in (".slf", ".dot"):
            write_kaldi(lattices, path)
        for utterance, lattice in lattices.items():
            if end == ".slf":
                write_slf(lattice, path, utterance=utterance)
            elif end == ".dot":
                text = dot_text(lattice, posteriors=arc_posteriors(lattice).arc)
                Path(path).write_text(text, encoding="utf-8", errors=ESCAPE)
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror}") from error


def write_kaldi(lattices: Mapping[str, Lattice], path: str | Path) -> None:
    """Write CompactLattices as text, with words as symbols, by utterance.

    The weight of an arc is ``graph,acoustic,string``; the string has one number a frame, which
    gives the times. In place of Kaldi's transition ids it is 1 + the index of the pronunciation.
    The format holds neither ``arc_lm`` nor phones.
    """
    with open(path, "w", encoding="utf-8", errors=ESCAPE, newline="\n") as file:
        for utterance, lattice in lattices.items():
            if not utterance or any(c.isspace() for c in utterance):
                raise OptionError(f"the name of an utterance must be one word, got {utterance!r}")
            file.write(f"{utterance}\n")
            file.writelines(_kaldi_lines(lattice))
            file.write("\n")


def _kaldi_lines(lattice: Lattice) -> Iterator[str]:
    first, frames = lattice.first_arcs(), lattice.arc_frames.tolist()
    target, word = lattice.arc_target.tolist(), lattice.arc_word.tolist()
    acoustic = (lattice.arc_acoustic / _checked_scale(lattice.acoustic_scale)).tolist()
    graph, spoken = lattice.arc_graph.tolist(), lattice.arc_pronunciation.tolist()
    for node, final in enumerate(lattice.final.tolist()):
        for a in range(first[node], first[node + 1]):
            string = "_".join([str(spoken[a] + 1)] * frames[a])
            weight = f"{graph[a]!r},{acoustic[a]!r},{string}"
            name = lattice.spelt(word[a]) if word[a] else EPSILON
            yield f"{node}\t{target[a]}\t{name}\t{weight}\n"
        if final < math.inf:
            yield f"{node}\t{final!r},0,\n"


def read_kaldi(
    path: str | Path, *, acoustic_scale: float = 1.0, words: Sequence[str] = (),
    frame_seconds: float | None = None,
) -> dict[str, Lattice]:
    """Read CompactLattices written as text (``lattice-copy ark:... ark,t:...``), by utterance.

    FormatError: a line is no arc, a word unknown, a cycle, or paths have different times.

    Parameters
    ----------
    acoustic_scale
        Multiplies the acoustic costs, default 1.
    words
        The table of words, for files with numbers; entry 0 is epsilon. Without it, words are the
        file's own, numbered in order of appearance.
    frame_seconds
        Seconds between frames, which the format does not hold; None (default): unknown.
    """
    _checked_scale(acoustic_scale)
    found: dict[str, Lattice] = {}
    for utterance, line, rows in _kaldi_blocks(read_text(path), path):
        if utterance in found:
            raise FormatError(f"utterance {utterance!r} comes twice", path, line)
        draft = Draft(path, list(words) or [EPSILON], fixed_words=bool(words))
        for at, row in rows:
            _kaldi_row(draft, at, row, acoustic_scale)
        draft.time_nodes(line)
        found[utterance] = draft.lattice(line, acoustic_scale, frame_seconds)
    return found


def _kaldi_blocks(
    text: str, path: str | Path
) -> Iterator[tuple[str, int, list[tuple[int, list[str]]]]]:
    name, began, rows = "", 0, list[tuple[int, list[str]]]()
    for at, line in enumerate([*text.split("\n"), ""], start=1):
        fields = line.split()
        if not fields and name:
            yield name, began, rows
            name, rows = "", []
        elif fields and name:
            rows.append((at, fields))
        elif fields:
            if len(fields) > 1:
                raise FormatError(f"expected the name of an utterance, got {line!r}", path, at)
            name, began = fields[0], at


def _kaldi_row(draft: Draft, line: int, fields: list[str], scale: float) -> None:
    """``source target word [weight]`` is an arc, ``node [weight]`` a final cost."""
    if len(fields) > 4:
        raise FormatError(f"an arc has at most 4 fields, got {len(fields)}", draft.path, line)
    weight = fields[-1] if len(fields) in (2, 4) else "0,0,"
    parts = weight.split(",")
    if len(parts) != 3:
        raise FormatError(f"a weight is graph,acoustic,string, got {weight!r}", draft.path, line)
    graph, acoustic = draft.number(parts[0], line), draft.number(parts[1], line) * scale
    n_frames = len(parts[2].split("_")) if parts[2] else 0
    node = draft.node(fields[0], line)
    if len(fields) < 3 and not n_frames:
        draft.final[node] = graph + acoustic
        return
    if len(fields) >= 3:
        word, target = draft.word(fields[2], line), draft.node(fields[1], line)
    else:  # frames after the last word: silence on an arc of its own
        word, target = 0, draft.new_node()
        draft.final[target] = 0.0
    draft.arcs.append(DraftArc(node, target, word, acoustic, graph, frames=n_frames, line=line))


def write_slf(lattice: Lattice, path: str | Path, *, utterance: str = "") -> None:
    """Write one lattice in HTK's standard lattice format, words on links.

    ``a`` is the log likelihood without the scale, ``l`` the language model's log probability as
    far as known (``arc_lm``), ``r`` all the rest. Final costs are on links without a word. The
    format has times: the lattice's `frame_seconds` must be known.
    """
    text = slf_text(lattice, utterance=utterance)
    Path(path).write_text(text, encoding="utf-8", errors=ESCAPE, newline="\n")


def slf_text(lattice: Lattice, *, utterance: str = "") -> str:
    """Return the text of `write_slf`."""
    seconds = lattice.frame_seconds
    if seconds is None:
        raise OptionError("HTK's format has times: the lattice's frame_seconds must be known")
    scale, frames = _checked_scale(lattice.acoustic_scale), lattice.node_frame.tolist()
    last = len(frames)
    endings = [(n, last, 0, 0.0, -cost, 0.0, 0)
               for n, cost in enumerate(lattice.final.tolist()) if cost < math.inf]
    columns = (
        lattice.arc_source, lattice.arc_target, lattice.arc_word, -lattice.arc_acoustic / scale,
        lattice.arc_lm - lattice.arc_graph, -np.asarray(lattice.arc_lm), lattice.arc_pronunciation,
    )
    links = [*zip(*(np.asarray(column).tolist() for column in columns), strict=True), *endings]
    lines = ["VERSION=1.0"] + ([f"UTTERANCE={utterance}"] if utterance else [])
    lines += [f"acscale={scale!r}\tlmscale=1\tprscale=1\twdpenalty=0\tbase=2.718281828459045"]
    lines += [f"N={last + 1}\tL={len(links)}", f"start=0\tend={last}"]
    lines += [f"I={n}\tt={round(frame * seconds, 6)}"
              for n, frame in enumerate([*frames, lattice.n_frames])]
    for j, (source, target, word, acoustic, rest, lm, spoken) in enumerate(links):
        name = _escaped(lattice.spelt(word)) if word else "!NULL"
        lines.append(f"J={j}\tS={source}\tE={target}\tW={name}\tv={spoken + 1}"
                     f"\ta={acoustic!r}\tr={rest!r}\tl={lm!r}")
    return "\n".join(lines) + "\n"


def read_slf(path: str | Path, *, words: Sequence[str] = (), frame_seconds: float = HTK_PERIOD,
             silences: Iterable[str] = SLF_SILENCES) -> Lattice:
    """Read a lattice in HTK's standard lattice format, its words on links or on nodes.

    A word on a node belongs to every link into it. Times become frames.

    Parameters
    ----------
    words
        The table of words, entry 0 is epsilon; without it words are numbered as they appear.
    frame_seconds
        Seconds between frames, default HTK_PERIOD.
    silences
        Names that are no words.
    """
    return read_slf_text(read_text(path), path=path, words=words, frame_seconds=frame_seconds,
                         silences=silences)


def read_slf_text(text: str, *, path: str | Path = "<slf>", words: Sequence[str] = (),
                  frame_seconds: float = HTK_PERIOD,
                  silences: Iterable[str] = SLF_SILENCES) -> Lattice:
    """Read a text of HTK's format; see `read_slf`."""
    if not frame_seconds > 0:
        raise OptionError(f"frame_seconds must be above 0, got {frame_seconds}")
    header, nodes, links = _slf_fields(text, path)
    draft = Draft(path, list(words) or [EPSILON], fixed_words=bool(words))
    names: dict[int, str] = {}
    for line, fields in nodes:
        node = draft.node(fields["I"], line)
        if node in draft.frame:
            raise FormatError(f"node {fields['I']} comes twice", path, line)
        draft.frame[node] = round(draft.number(fields.get("t", "0"), line) / frame_seconds)
        if "W" in fields:
            names[node] = fields["W"]
    scales = _slf_scales(header, draft)
    ignored = frozenset(silences)
    for line, fields in links:
        for key in "SE":
            if key not in fields:
                raise FormatError(f"a link needs {key}=", path, line)
        ends = [draft.node(fields[key], line) for key in "SE"]
        for key, node in zip("SE", ends, strict=True):
            if node not in draft.frame:
                raise FormatError(f"there is no node {fields[key]}", path, line)
        name = _unescaped(fields.get("W", names.get(ends[1], "!NULL")))
        word = 0 if name in ignored else draft.word(name, line)
        a, r, lm = (
            -draft.number(fields.get(key, "0"), line) * scales[key] for key in ("a", "r", "l")
        )
        graph = r + lm - (scales["penalty"] if word else 0.0)
        draft.arcs.append(DraftArc(ends[0], ends[1], word, a, graph, lm, line=line))
    _slf_ends(header, draft)
    return draft.lattice(1, draft.header_number(header, "acscale", 1.0), frame_seconds)


_Lines = list[tuple[int, dict[str, str]]]
"""Fields of lines with their numbers."""


def _slf_fields(text: str, path: str | Path) -> tuple[dict[str, str], _Lines, _Lines]:
    """Return the fields of the header, of nodes and of links."""
    header, nodes, links = dict[str, str](), _Lines(), _Lines()
    for at, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        pairs = [item.split("=", 1) for item in line.split()]
        if any(len(pair) != 2 for pair in pairs):
            raise FormatError(f"fields are key=value, got {line.strip()!r}", path, at)
        fields = {_SHORT.get(key, key): value for key, value in pairs}
        if pairs[0][0] == "I":
            nodes.append((at, fields))
        elif pairs[0][0] == "J":
            links.append((at, fields))
        else:
            header.update(fields)
    for key, rows in (("N", nodes), ("L", links)):
        if (stated := header.get(key)) != str(len(rows)):
            raise FormatError(f"the header says {key}={stated}, but {len(rows)} are there", path)
    return header, nodes, links


_SHORT = {"NODES": "N", "LINKS": "L", "START": "S", "END": "E", "WORD": "W", "acoustic": "a",
          "language": "l", "time": "t", "WORDPENALTY": "wdpenalty"}
"""Long names of fields, which HTK's book allows."""


def _slf_scales(header: Mapping[str, str], draft: Draft) -> dict[str, float]:
    """Return the factors from logs of the file to scaled natural logs."""
    base = draft.header_number(header, "base", math.e)
    if base <= 0 or base == 1:  # 0 means plain probabilities, which no one writes
        raise FormatError(f"the base of logarithms cannot be {base}", draft.path)
    unit = math.log(base)
    names = {"a": "acscale", "r": "prscale", "l": "lmscale"}
    factors = {key: draft.header_number(header, name, 1.0) for key, name in names.items()}
    factors["penalty"] = draft.header_number(header, "wdpenalty", 0.0)
    return {key: factor * unit for key, factor in factors.items()}


def _slf_ends(header: Mapping[str, str], draft: Draft) -> None:
    """Set start and end: from the header, or the nodes without links into and out of them."""
    sources, targets = {arc.source for arc in draft.arcs}, {arc.target for arc in draft.arcs}
    lonely = [node for node in draft.frame if node not in sources]
    end = draft.node(header["end"], 1) if "end" in header else next(reversed(lonely), None)
    first = [node for node in draft.frame if node not in targets]
    start = draft.node(header["start"], 1) if "start" in header else next(iter(first), None)
    for name, node in (("start", start), ("end", end)):
        if node is None or node not in draft.frame:
            raise FormatError(f"the lattice has no {name} node", draft.path)
    draft.start = start
    assert end is not None
    draft.final[end] = 0.0


def dot_text(lattice: Lattice, *, posteriors: np.ndarray | None = None) -> str:
    """Return the lattice for Graphviz's ``dot``: nodes by frame, arcs by word and cost.

    With `posteriors` (n_arcs,) arcs show these instead of costs, also as their width.
    """
    lines = ["digraph lattice {", "  rankdir=LR; node [shape=circle];"]
    for node, final in enumerate(lattice.final.tolist()):
        shape = " shape=doublecircle" if final < math.inf else ""
        lines.append(f'  {node} [label="{int(lattice.node_frame[node])}"{shape}];')
    shown = lattice.arc_acoustic + lattice.arc_graph if posteriors is None else posteriors
    for a, value in enumerate(np.asarray(shown).tolist()):
        word = lattice.spelt(lattice.arc_word[a]) if lattice.arc_word[a] else EPSILON
        name = word.replace("\\", "\\\\").replace('"', '\\"')
        width = "" if posteriors is None else f" penwidth={0.3 + 3 * value:.2f}"
        lines.append(
            f'  {lattice.arc_source[a]} -> {lattice.arc_target[a]} [label="{name} {value:.4g}"'
            f"{width}];"
        )
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(word: str) -> str:
    if not word or any(c.isspace() for c in word):
        raise OptionError(f"a word of a lattice may not hold spaces, got {word!r}")
    return re.sub(r"""([\\"'])""", r"\\\1", word)


def _unescaped(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'":
        word = word[1:-1]
    return re.sub(r"\\(.)", r"\1", word)


def _checked_scale(scale: float) -> float:
    if not 0 < scale < math.inf:
        raise OptionError(f"the acoustic scale must be above 0, got {scale}")
    return scale
