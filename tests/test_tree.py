"""Decision trees: what they answer, and how they are grown."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, DecisionTree, Triphones
from factored_asr.acoustic.gmm.tree import LEAF, LEFT, POSITION, RIGHT
from factored_asr.errors import MissingError, OptionError
from factored_asr.training.tying import (
    POSITION_QUESTIONS,
    ContextStatistics,
    TreeOptions,
    agglomerate,
    context_statistics,
    grow_tree,
    leaves_for,
    log_likelihood,
    phone_questions,
)

PHONES = ("SIL", "M", "N", "AA", "AE")
SIL, M, N, AA, AE = range(5)
N_STATES = np.array([2, 1, 1, 1, 1])


def a_world(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames and their contexts: vowels are nasal before M and N, whatever the left side."""
    rng = np.random.default_rng(seed)
    n = 3000
    contexts = np.column_stack(
        [rng.integers(0, 5, n), rng.integers(0, 5, n), rng.integers(0, 5, n),
         rng.integers(0, 4, n), np.zeros(n, int)]
    )  # fmt: skip
    silent = contexts[:, 0] == SIL
    contexts[silent, 4] = rng.integers(0, 2, silent.sum())
    means = np.array([[-9.0, 0], [0, 4], [0, 5], [5, 0], [6, 0]])
    features = means[contexts[:, 0]] + rng.normal(size=(n, 2))
    vowel = np.isin(contexts[:, 0], (AA, AE))
    features[vowel & np.isin(contexts[:, 2], (M, N)), 1] += 5
    features[(contexts[:, 0] == AA) & (contexts[:, 3] == END), 0] -= 4  # weak at the end of words
    return features, contexts


def grown(options: TreeOptions | None = None, seed: int = 0) -> DecisionTree:
    features, contexts = a_world(seed)
    statistics = context_statistics(features, contexts)
    return grow_tree(statistics, PHONES, N_STATES, options or TreeOptions(9), whole=(SIL,))


def test_the_tree_finds_what_makes_the_difference() -> None:
    tree = grown(TreeOptions(n_leaves=9))
    assert tree.n_leaves == 9 and tree.n_pdfs == 9
    before_nasal = tree.pdfs(AE, np.arange(5)[:, None], [M, N], np.arange(4)[:, None, None], 0)
    elsewhere = tree.pdfs(AE, np.arange(5)[:, None], [SIL, AA, AE], INTERNAL, 0)
    assert len(np.unique(before_nasal)) == len(np.unique(elsewhere)) == 1
    assert before_nasal.flat[0] != elsewhere.flat[0]
    asked = tree.asks[tree.roots[AE, 0]], tree.members[tree.roots[AE, 0]]
    assert asked[0] == RIGHT and asked[1].tolist() == [False, True, True, False, False]
    # AA splits by nasal, and each side or one of them by the end of the word.
    assert len(np.unique(tree.pdfs(AA, 0, [M, AA], [[INTERNAL], [END]], 0))) >= 3
    text = tree.describe("AE")
    assert "right M N?" in text and "AA" not in text.splitlines()[0]
    assert "place end?" in tree.describe("AA", 0)


def test_silence_is_not_split_and_what_was_never_seen_has_a_pdf() -> None:
    features, contexts = a_world()
    seen = contexts[:, 0] != N
    statistics = context_statistics(features[seen], contexts[seen])
    tree = grow_tree(statistics, PHONES, N_STATES, TreeOptions(30), whole=(SIL,))
    silence = tree.pdfs(SIL, np.arange(5), 0, SINGLE, [[0], [1]])
    assert (silence == [[0], [1]]).all()
    assert len(np.unique(tree.pdfs(N, np.arange(5), np.arange(5)[:, None], BEGIN, 0))) == 1
    assert (tree.pdfs(N, 0, 0, 0, [0, 1]) == [tree.pdfs(N, 0, 0, 0, 0), -1]).all()


def test_every_leaf_has_its_frames() -> None:
    options = TreeOptions(n_leaves=200, min_frames=60, merge_leaves=False)
    features, contexts = a_world()
    tree = grown(options)
    leaf = tree.leaves(*contexts.T)
    count = np.bincount(leaf, minlength=tree.n_nodes)
    assert tree.n_leaves == tree.n_pdfs > 15
    assert (count[tree.asks == LEAF] >= 60).all()
    assert np.array_equal(count[tree.asks == LEAF], tree.frames[tree.asks == LEAF])
    assert (tree.gain[tree.asks != LEAF] > 0).all()


def test_more_data_bear_more_leaves() -> None:
    assert leaves_for(193_631) == 400, "the half hour of AN4 is where the rule was tuned"
    assert leaves_for(8 * 193_631) == 800
    features, _ = a_world(0)
    by_rule = grown(TreeOptions(min_frames=5))
    assert 6 < by_rule.n_leaves == leaves_for(len(features))


def brute_force(features: np.ndarray, contexts: np.ndarray, n_leaves: int) -> float:
    """Greedy growth with no tricks: every leaf, every question, frame by frame."""
    statistics = context_statistics(features, contexts)
    floor = statistics.floor(0.01)
    sets = phone_questions(statistics, 5, 0.01)

    def score(frames: np.ndarray) -> float:
        x = features[frames]
        variance = np.maximum(x.var(axis=0), floor)
        logs = -0.5 * (np.log(2 * np.pi * variance) + (x - x.mean(axis=0)) ** 2 / variance)
        return float(logs.sum())

    leaves = [
        np.flatnonzero((contexts[:, 0] == phone) & (contexts[:, 4] == state))
        for phone in range(5) for state in range(N_STATES[phone])
    ]  # fmt: skip
    while len(leaves) < n_leaves:
        best = (0.0, -1, np.zeros(0), np.zeros(0))
        for i, frames in enumerate(leaves):
            if contexts[frames[0], 0] == SIL:
                continue
            for column, questions in ((1, sets), (2, sets), (3, POSITION_QUESTIONS)):
                for question in questions:
                    yes = frames[question[contexts[frames, column]]]
                    no = frames[~question[contexts[frames, column]]]
                    if min(len(yes), len(no)) >= 50:
                        gain = score(yes) + score(no) - score(frames)
                        if gain > best[0] + 1e-9:
                            best = (gain, i, no, yes)
        leaves[best[1] : best[1] + 1] = [best[2], best[3]]
    return sum(score(frames) for frames in leaves)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_growth_is_that_of_brute_force(seed: int) -> None:
    features, contexts = a_world(seed)
    tree = grown(TreeOptions(n_leaves=14, merge_leaves=False), seed)
    pdf = tree.pdfs(*contexts.T)
    by_leaf = context_statistics(features, np.column_stack([pdf] + [np.zeros_like(pdf)] * 4))
    floor = context_statistics(features, contexts).floor(0.01)
    total = log_likelihood(by_leaf.statistics, floor).sum()
    assert total == pytest.approx(brute_force(features, contexts, 14), rel=1e-9)


def test_merging_leaves_loses_less_than_the_last_question_gained() -> None:
    apart, merged = (grown(TreeOptions(40, 20, merge_leaves=each)) for each in (False, True))
    assert merged.n_leaves == apart.n_leaves and merged.n_pdfs < apart.n_pdfs
    assert np.array_equal(merged.roots, apart.roots)
    for pdf in range(merged.n_pdfs):  # leaves that share a pdf are of one state
        leaves = np.flatnonzero((merged.asks == LEAF) & (merged.leaf_pdf == pdf))
        contexts = np.stack(np.meshgrid(range(5), range(5), range(5), range(4), [0, 1]), -1)
        flat = contexts.reshape(-1, 5)
        flat = flat[np.isin(merged.leaves(*flat.T), leaves)]
        assert len({(phone, state) for phone, state in flat[:, [0, 4]].tolist()}) == 1


def test_clustering_merges_the_pair_that_loses_least() -> None:
    rng = np.random.default_rng(5)
    items = [rng.normal(rng.normal(size=2) * 3, 1, (int(rng.integers(5, 40)), 2)) for _ in range(7)]
    floor = np.full(2, 1e-3)

    def score(frames: np.ndarray) -> float:
        return float(log_likelihood(np.r_[len(frames), frames.sum(0), (frames**2).sum(0)], floor))

    statistics = np.stack([np.r_[len(x), x.sum(0), (x**2).sum(0)] for x in items])
    pools = dict(enumerate(items))
    for a, b, loss in agglomerate(statistics, floor):
        losses = {
            (i, j): score(pools[i]) + score(pools[j]) - score(np.concatenate([pools[i], pools[j]]))
            for i, j in combinations(sorted(pools), 2)
        }
        assert (a, b) == min(losses, key=losses.__getitem__)
        assert loss == pytest.approx(losses[a, b])
        pools[a] = np.concatenate([pools[a], pools.pop(b)])
    assert list(pools) == [0]


def test_likelihood_and_loss_are_kaldis() -> None:
    """Against GaussClusterable of kaldi-hmm-gmm 1.1.4 (objf and distance), variance floor 0.01."""
    x = np.sin(np.arange(60.0) ** 2).reshape(20, 3)
    x[:, 2] = 0.5  # below the floor
    statistics = np.stack([np.r_[len(y), y.sum(0), (y**2).sum(0)] for y in (x[:8], x[8:])])
    floor = np.full(3, 0.01)
    np.testing.assert_allclose(log_likelihood(statistics, floor), [-3.824107, -9.670169], rtol=1e-5)
    ((a, b, loss),) = agglomerate(statistics, floor)
    assert (a, b) == (0, 1) and loss == pytest.approx(1.592962, rel=1e-4)


def test_questions_are_clusters_of_like_phones() -> None:
    statistics = context_statistics(*a_world())
    sets = {tuple(np.flatnonzero(each).tolist()) for each in phone_questions(statistics, 5, 0.01)}
    assert {(i,) for i in range(5)} < sets and (M, N) in sets and (AA, AE) in sets
    assert tuple(range(5)) not in sets


def test_statistics_add_up() -> None:
    features, contexts = a_world()
    parts = [context_statistics(features[i::3], contexts[i::3]) for i in range(3)]
    total, at_once = parts[0] + parts[1] + parts[2], context_statistics(features, contexts)
    assert np.array_equal(total.contexts, at_once.contexts)
    np.testing.assert_allclose(total.statistics, at_once.statistics)
    assert len(np.unique(total.contexts, axis=0)) == total.n_contexts
    nothing = ContextStatistics(np.zeros((0, 5), np.int32), np.zeros((0, 5)))
    assert np.array_equal((nothing + at_once).statistics, at_once.statistics)


def test_position_is_a_switch() -> None:
    assert (grown(TreeOptions(40, 20)).asks == POSITION).any()
    tree = grown(TreeOptions(40, 20, ask_position=False))
    assert set(tree.asks.tolist()) == {LEAF, LEFT, RIGHT}
    assert len({tree.pdfs(AA, M, N, place, 0).item() for place in range(4)}) == 1


def test_hmms_of_a_tree_cover_every_context() -> None:
    tree = grown()
    tied = tree.tied_hmms(SIL, fillers=(SIL,))
    triphones = Triphones(5, tied.triphone_contexts, tied.triphone_hmms, SIL, (SIL,))
    for centre, left, right, position in product(range(5), range(5), range(5), range(4)):
        hmm = triphones.hmm_index(centre, left, right, position)
        assert tied.hmm_phone[hmm] == centre
        expected = tree.pdfs(centre, left, right, position, [0, 1])
        assert np.array_equal(tied.hmm_pdfs[hmm], expected)
    assert tied.hmm_phone[:5].tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(tied.hmm_pdfs[AE], tree.pdfs(AE, SIL, SIL, SINGLE, [0, 1]))


def test_fillers_count_as_silence_where_they_are_neighbours() -> None:
    tree = grown()
    tied = tree.tied_hmms(SIL, fillers=(SIL, M))  # M as if it were a noise
    triphones = Triphones(5, tied.triphone_contexts, tied.triphone_hmms, SIL, (SIL, M))
    after_noise = triphones.hmm_index(AE, N, M, INTERNAL)
    assert after_noise == triphones.hmm_index(AE, N, SIL, INTERNAL)
    assert after_noise != triphones.hmm_index(AE, N, N, INTERNAL)


def test_a_tree_is_kept_as_arrays() -> None:
    tree = grown()
    arrays = tree.arrays()
    assert all(isinstance(each, np.ndarray) and each.dtype != object for each in arrays.values())
    again = DecisionTree.from_arrays(PHONES, arrays)
    assert again.describe() == tree.describe()
    del arrays["roots"]
    with pytest.raises(MissingError, match="roots"):
        DecisionTree.from_arrays(PHONES, arrays)


def test_what_is_no_tree_is_refused() -> None:
    arrays = grown().arrays()
    for name, wrong, message in (
        ("branches", np.zeros_like(arrays["branches"]), "higher number"),
        ("asks", arrays["asks"] + 5, "asks of its left"),
        ("leaf_pdf", arrays["leaf_pdf"] * 0 - 1, "every leaf"),
        ("roots", arrays["roots"] - 3, "each phone needs one"),
        ("frames", arrays["frames"][:-1], "frames must be"),
    ):
        with pytest.raises(OptionError, match=message):
            DecisionTree.from_arrays(PHONES, {**arrays, name: wrong})
    with pytest.raises(OptionError, match="outside 0..4"):
        grown().pdfs(5, 0, 0, 0, 0)
    with pytest.raises(MissingError, match="'ZZ'"):
        grown().describe("ZZ")
    with pytest.raises(OptionError, match="6 states"):
        grown(TreeOptions(n_leaves=4))
