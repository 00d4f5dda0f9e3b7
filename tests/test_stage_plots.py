"""Pictures of the stages: filters, Gaussians, trees, language models, confusion networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factored_asr.acoustic.gmm.tree import DecisionTree
from factored_asr.cli import main
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.language import read_arpa
from factored_asr.lattice.confusion import ConfusionNetwork, Slot
from factored_asr.models.bundle import Bundle
from factored_asr.plots import (
    language_graph,
    plot_confusion,
    plot_filterbank,
    plot_gaussians,
    plot_graph,
    plot_tree,
)

pytest.importorskip("matplotlib")


def test_filters_stand_side_by_side_up_to_the_highest_frequency() -> None:
    options = FeatureOptions(n_mels=14, low_hz=200, high_hz=4000)
    ax = plot_filterbank(options)
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in ax.lines]
    assert len(peaks) == 14 and (np.diff(peaks) > 0).all()
    assert 0.2 < peaks[0] < 0.45 and 3.0 < peaks[-1] < 4.0


def test_ellipses_are_the_heaviest_gaussians_of_the_state() -> None:
    from matplotlib.patches import Ellipse

    model = Bundle.find("en-us").acoustic_model()
    ax = plot_gaussians(model, "AA", 1, n_gaussians=3)
    drawn = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    pdf = model.hmm_pdfs[model.phones.index("AA"), 1]
    book, weights = model.densities.codebook[pdf], model.densities.weights[0, :, pdf]
    for ellipse, k in zip(drawn, np.argsort(-weights)[:3], strict=True):
        assert ellipse.center == pytest.approx(model.densities.means[book, k, :2])
        assert ellipse.width == pytest.approx(2 * model.densities.variances[book, k, 0] ** 0.5)
    for wrong, law in (({"phone": "XX"}, "no phone 'XX'"), ({"state": 3}, "states 0 to 2, got 3"),
                       ({"features": (0, 99)}, "numbered 0 to 38")):
        with pytest.raises(OptionError, match=law):
            plot_gaussians(model, **{"phone": "AA", **wrong})


def deep_tree() -> DecisionTree:
    """A tree of five questions about neighbours, one behind the other's "no"."""
    n, phones = 5, ("AH", "N", "T", "S", "K", "L", "M", "B")
    branches = [[k + 1 if k < n - 1 else 2 * n, n + k] for k in range(n)]
    members = np.zeros((2 * n + 8, len(phones)), bool)
    members[[0, 2, 3], [0, 2, 3]] = members[1] = members[4, :2] = True
    leaves = n + 1 + len(phones) - 1
    branches += [[-1, -1]] * leaves
    pdfs = [-1] * n + list(range(leaves))
    roots = [[0], *([2 * n + 1 + i] for i in range(len(phones) - 1))]
    return DecisionTree(phones=phones, roots=roots, members=members,
                        asks=[0, 1, 0, 1, 2] + [-1] * leaves, branches=branches,
                        leaf_pdf=pdfs, frames=[100] * (n + leaves),
                        gain=[10] * n + [0] * leaves)


def test_a_tree_shows_its_questions_and_no_more_than_asked_for() -> None:
    tree = deep_tree()
    texts = [text.get_text() for text in plot_tree(tree, "AH", depth=9).texts]
    assert sum("?" in text for text in texts) == 5
    assert sum(text.startswith("pdf") for text in texts) == 6
    assert "right: AH N T\nS K L +2?" in texts, "long questions are cut"
    cut = [text.get_text() for text in plot_tree(tree, "AH", depth=2).texts]
    assert sum("?" in text for text in cut) == 3 and sum("…" in text for text in cut) == 1
    with pytest.raises(OptionError, match="no phone 'ZH'"):
        plot_tree(tree, "ZH")
    with pytest.raises(OptionError, match="states 0 to 0, got 2"):
        plot_tree(tree, "AH", 2)


ARPA = """\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-99 <s> -0.4
-1.0 </s>
-0.5 turn -0.3
-1.2 on -0.2
-2.1 off

\\2-grams:
-0.3 <s> turn
-0.4 turn on
-0.9 turn off
-0.1 on </s>

\\end\\
"""


def test_a_language_model_is_the_graph_of_its_bigrams(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA)
    model = read_arpa(tmp_path / "lm.arpa")
    graph = language_graph(model)
    ln10 = np.log(10)
    rows = {(source, graph.words[label], target): cost for source, (label, _, cost, target) in
            zip(graph.sources.tolist(), graph.arcs.tolist(), strict=True)}
    turn, on, off = (graph.words.index(word) for word in ("turn", "on", "off"))
    assert rows[graph.start, "turn", turn] == pytest.approx(0.3 * ln10)
    assert rows[turn, "off", off] == pytest.approx(0.9 * ln10)
    assert rows[turn, "<eps>", 0] == pytest.approx(0.3 * ln10) and graph.final[0] < np.inf
    assert graph.final[on] == pytest.approx(0.1 * ln10) and np.isinf(graph.final[off])
    assert language_graph(model, 1).words == ("<eps>", "turn")
    texts = [text.get_text() for text in plot_graph(graph, labels=graph.words).texts]
    assert "turn/0.7" in texts and "ε/0.7" in texts


def network() -> ConfusionNetwork:
    gap = Slot("", 0, 0.98, np.nan, np.nan, (("", 0.98), ("a", 0.02)))
    none = Slot("", 0, 1.0, np.nan, np.nan, (("", 1.0),))
    turn = Slot("turn", 1, 0.7, 0, 20, (("turn", 0.7), ("learn", 0.2), ("", 0.1)))
    off = Slot("off", 2, 0.6, 20, 40, (("off", 0.6), ("on", 0.396), ("of", 0.004)))
    return ConfusionNetwork((none, turn, gap, off, none), 0.7)


def test_a_confusion_network_shows_what_competes() -> None:
    ax = plot_confusion(network())
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["turn 0.70", "learn 0.20", "– 0.10", "– 0.98", "a 0.02", "off 0.60", "on 0.40"]
    lengths = [bar.get_width() / 0.9 for bar in ax.patches]
    assert lengths == pytest.approx([0.7, 0.2, 0.1, 0.98, 0.02, 0.6, 0.396])
    with pytest.raises(OptionError, match="without a word"):
        plot_confusion(ConfusionNetwork((), 0.0))


@pytest.mark.parametrize(("given", "law"), [
    (["--stage", "tree", "--model", "en-us", "--phone", "AA"], "no decision tree"),
    (["--stage", "gaussians", "--model", "en-us"], "needs --phone"),
    (["--stage", "confusion"], "needs a sound file"),
    (["--stage", "filterbank", "sound.wav"], "takes no sound file"),
    (["--stage", "lattice", "sound.wav", "some text"], "give no text"),
])  # fmt: skip
def test_stages_say_what_they_need(
    given: list[str], law: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *given, "-o", str(tmp_path / "a.png")]) == 2
    assert law in capsys.readouterr().err


def test_stages_are_drawn_from_the_command_line(tmp_path: Path, audio_dir: Path) -> None:
    sound = str(audio_dir / "kitchen_light_on.wav")
    grammar = ["--grammar", "lm/smart_home.yaml"]
    for given in (["--stage", "filterbank"], ["--stage", "gaussians", "--phone", "AA"],
                  ["--stage", "language", "--grammar", "examples/tokens.yaml"],
                  ["--stage", "confusion", *grammar, sound]):
        picture = tmp_path / f"{given[1]}.png"
        assert main(["plot", "--model", "en-us", "--quiet", *given, "-o", str(picture)]) == 0
        assert picture.read_bytes()[1:4] == b"PNG"
