"""The acoustic model: densities against their slow twins, context against Sphinx's rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import naive_acoustic as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gaussians import frames, random_diagonal, random_tied, tiny_model

from factored_asr.acoustic import (
    BEGIN,
    END,
    INTERNAL,
    N_POSITIONS,
    SINGLE,
    DiagonalMixtures,
    TiedMixtures,
    Triphones,
)
from factored_asr.acoustic.gmm import _kernels
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions


class TestDensities:
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
        n_features=st.integers(1, 5),
    )
    def test_plain_mixtures_are_their_definition(
        self, seed: int, sizes: list[int], n_features: int
    ) -> None:
        mixtures = random_diagonal(seed, tuple(sizes), n_features)
        features = frames(seed, 7, n_features)
        scores = mixtures.scorer()(features)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(
            scores, naive.diagonal_scores(mixtures, features.astype("f4")), rtol=1e-5, atol=1e-4
        )

    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        n_books=st.integers(1, 4),
        n_pdfs=st.integers(1, 9),
        streams=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    )
    def test_tied_mixtures_are_their_definition(
        self, seed: int, n_books: int, n_pdfs: int, streams: list[int]
    ) -> None:
        mixtures = random_tied(seed, n_books, n_pdfs, tuple(streams))
        features = frames(seed, 5, sum(streams))
        np.testing.assert_allclose(
            mixtures.scorer()(features),
            naive.tied_scores(mixtures, features.astype("f4")),
            rtol=1e-5, atol=2e-4,
        )  # fmt: skip

    def test_a_semicontinuous_model_of_one_pdf_is_a_plain_mixture(self) -> None:
        tied = random_tied(1, 1, 1, (4,))
        plain = DiagonalMixtures(tied.means[0], tied.variances[0], tied.weights[0, :, 0], [0, 6])
        features = frames(2, 50, 4)
        np.testing.assert_allclose(
            tied.scorer()(features), plain.scorer()(features), rtol=1e-5, atol=1e-4
        )

    @pytest.mark.parametrize(
        "mixtures", [random_tied(3, 2, 5, (2, 2)), random_diagonal(3, (2, 3), 4)]
    )
    def test_a_frame_far_from_every_gaussian_keeps_a_score(
        self, mixtures: TiedMixtures | DiagonalMixtures
    ) -> None:
        scores = mixtures.scorer()(np.full((1, 4), 1e4))
        assert np.isfinite(scores).all() and (scores < -1e5).all()

    @pytest.mark.parametrize(
        "mixtures", [random_tied(4, 3, 40, (2, 3)), random_diagonal(4, (3,) * 40, 5)]
    )
    def test_only_the_pdfs_asked_for_are_scored(
        self, mixtures: TiedMixtures | DiagonalMixtures
    ) -> None:
        features = frames(4, 20, 5)
        everything = mixtures.scorer()(features)
        some = mixtures.scorer(np.array([31, 2, 2, 17]))(features)
        assert some.shape == (20, 4)  # one column for each, in their order
        np.testing.assert_allclose(some, everything[:, [31, 2, 2, 17]], atol=1e-4)
        assert mixtures.scorer(np.array([], int))(features).shape == (20, 0)

    @pytest.mark.parametrize(
        "mixtures", [random_tied(6, 4, 9, (2, 3), 500), random_diagonal(6, (900,) * 9, 5)]
    )
    def test_frames_do_not_know_each_other(self, mixtures: TiedMixtures | DiagonalMixtures) -> None:
        features = frames(6, 700, 5)  # several blocks
        scorer = mixtures.scorer()
        parts = [scorer(features[start : start + 33]) for start in range(0, 700, 33)]
        np.testing.assert_allclose(np.concatenate(parts), scorer(features), atol=1e-3, rtol=1e-5)
        assert scorer(features[:0]).shape == (0, 9)

    def test_threads_share_a_scorer(self) -> None:
        scorer = random_tied(8, 3, 30, (3, 3), 64).scorer()
        utterances = [frames(seed, 100, 6) for seed in range(8)]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(scorer, utterances))
        for utterance, scores in zip(utterances, together, strict=True):
            np.testing.assert_array_equal(scores, scorer(utterance))

    def test_the_kernels_and_their_twins(self) -> None:
        logs = frames(9, 6, 8, 200.0).astype(np.float32)
        first = np.array([0, 3, 4, 8], np.int32)
        fast, slow = np.zeros((2, 6, 3), np.float32)
        _kernels.log_sum_exp(logs, first, fast)
        naive.log_sum_exp(logs, first, slow)
        np.testing.assert_allclose(fast, slow, rtol=1e-6)
        words = np.random.default_rng(9).integers(0, 2**32, 1000, dtype=np.uint32)
        assert _kernels.rotating_checksum(words) == naive.rotating_checksum(words)

    @pytest.mark.parametrize(
        ("features", "law"),
        [
            (np.zeros((3, 5)), r"shape \(n_frames, 4\), got \(3, 5\)"),
            (np.zeros(4), r"shape \(n_frames, 4\), got \(4,\)"),
            (np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]), "finite, frame 1 is not"),
        ],
    )
    def test_features_are_checked(self, features: np.ndarray, law: str) -> None:
        with pytest.raises(OptionError, match=law):
            random_tied(0, 1, 2, (2, 2)).scorer()(features)

    @pytest.mark.parametrize(
        ("changes", "law"),
        [
            ({"variances": np.zeros((2, 6, 4))}, "variances finite and positive"),
            ({"means": np.zeros((2, 6, 3))}, "of one shape with 3 axes"),
            ({"means": np.full((2, 6, 4), np.inf)}, "means must be finite"),
            ({"streams": (2, 3)}, "add up to 4 features"),
            ({"codebook": [0, 2, 1]}, "must lie in 0..1"),
            ({"weights": np.zeros((2, 6, 3))}, "floor and renormalise"),
            ({"weights": np.ones((1, 6, 3))}, r"shape \(2, 6, 3\)"),
        ],
    )
    def test_tied_mixtures_are_checked(self, changes: dict[str, object], law: str) -> None:
        with pytest.raises(OptionError, match=law):
            replace(random_tied(0, 2, 3, (2, 2)), **changes)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("changes", "law"),
        [
            ({"first_gaussian": [0, 2, 2, 5]}, "pdf 1 has no Gaussian"),
            ({"first_gaussian": [0, 4]}, "from 0 to 5"),
            ({"weights": np.ones(4)}, "as many positive weights"),
            ({"weights": np.zeros(5)}, "as many positive weights"),
        ],
    )
    def test_plain_mixtures_are_checked(self, changes: dict[str, object], law: str) -> None:
        with pytest.raises(OptionError, match=law):
            replace(random_diagonal(0, (2, 3), 4), **changes)  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", [-1, 3])
    def test_pdfs_are_checked(self, wrong: int) -> None:
        with pytest.raises(OptionError, match=f"pdf {wrong} is not one of the model's 3"):
            random_tied(0, 2, 3, (2, 2)).scorer(np.array([1, wrong]))


class TestTriphones:
    """Phones: 0 AH, 1 SIL, 2 T, 3 a noise."""

    @staticmethod
    def triphones(*contexts: tuple[int, int, int, int]) -> Triphones:
        return Triphones(4, contexts, range(10, 10 + len(contexts)), silence=1, fillers=(1, 3))  # type: ignore[arg-type]

    def test_a_known_triphone_is_itself(self) -> None:
        known = self.triphones((0, 2, 2, INTERNAL), (0, 2, 2, BEGIN))
        assert known.hmm_index(0, 2, 2, BEGIN) == 11

    def test_a_noise_is_heard_as_silence(self) -> None:
        assert self.triphones((0, 2, 1, END)).hmm_index(0, 2, 3, END) == 10

    def test_other_positions_are_tried_word_internal_first(self) -> None:
        known = self.triphones((0, 2, 2, END), (0, 2, 2, INTERNAL), (0, 2, 2, SINGLE))
        assert known.hmm_index(0, 2, 2, BEGIN) == 11

    def test_at_the_edge_of_a_word_silence_stands_for_the_neighbour(self) -> None:
        known = self.triphones((0, 1, 2, BEGIN), (0, 2, 1, INTERNAL))
        assert known.hmm_index(0, 2, 2, BEGIN) == 10
        assert known.hmm_index(0, 2, 2, END) == 11
        assert known.hmm_index(0, 2, 2, INTERNAL) == 0

    def test_else_the_phone_out_of_context(self) -> None:
        known = self.triphones((0, 1, 2, BEGIN))
        assert known.hmm_index([2, 0, 0], [0, 0, -1], [0, 0, 2], BEGIN).tolist() == [2, 0, 0]
        assert known.hmm_index([2, 0, 0], [0, 1, -1], [0, 2, 2], BEGIN).tolist() == [2, 10, 0]

    def test_a_model_without_context_answers_by_the_phone(self) -> None:
        assert Triphones(4, [], []).hmm_index([3, 1], [[0], [2]], 1, END).tolist() == [[3, 1]] * 2

    @settings(max_examples=50, deadline=None)
    @given(
        known=st.lists(
            st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=40, unique=True
        ),
        with_silence=st.booleans(),
    )  # fmt: skip
    def test_the_table_is_sphinx_search(
        self, known: list[tuple[int, int, int, int]], with_silence: bool
    ) -> None:
        triphones = self.triphones(*known)
        if not with_silence:
            triphones = replace(triphones, silence=-1, fillers=())
        ask = naive.nearest_triphone(triphones)
        questions = np.argwhere(np.ones((4, 4, 4, 4)))
        answers = triphones.hmm_index(*questions.T)
        assert answers.dtype == np.int32
        assert answers.tolist() == [ask(*question) for question in questions.tolist()]

    @pytest.mark.parametrize(
        ("question", "law"),
        [
            ((4, 0, 0, 0), "a phone must lie in 0..3, got 4"),
            ((-1, 0, 0, 0), "a phone must lie in 0..3, got -1"),
            ((0, -2, 0, 0), "left neighbour must lie in -1..3"),
            ((0, 0, 4, 0), "right neighbour"),
            ((0, 0, 0, 4), "word position must lie in 0..3"),
        ],
    )
    def test_questions_are_checked(self, question: tuple[int, ...], law: str) -> None:
        with pytest.raises(OptionError, match=law):
            self.triphones((0, 1, 2, BEGIN)).hmm_index(*question)

    def test_contexts_are_checked(self) -> None:
        with pytest.raises(OptionError, match="position of a triphone"):
            self.triphones((0, 1, 2, 4))
        with pytest.raises(OptionError, match="1 triphones need as many HMMs, got 2"):
            Triphones(4, np.array([[0, 1, 2, BEGIN]]), np.array([1, 2]))
        with pytest.raises(OptionError, match="filler 4"):
            Triphones(4, np.zeros((0, 4)), np.zeros(0), fillers=(4,))


class TestModel:
    def test_it_is_scored_and_asked(self) -> None:
        model = tiny_model()
        assert (model.n_pdfs, model.frame_seconds) == (7, 0.01)
        assert model.hmm_index([0, 0, 2], 1, [2, 0, 0], BEGIN).tolist() == [3, 0, 2]
        features = frames(0, 4, 3)
        np.testing.assert_array_equal(model.log_likelihoods(features), model.scorer()(features))
        some = model.log_likelihoods(features, np.array([6, 1]))
        np.testing.assert_allclose(some, model.scorer()(features)[:, [6, 1]], rtol=1e-5)

    @pytest.mark.parametrize(
        ("changes", "law"),
        [
            ({"phones": ("AH", "SIL", "AH")}, "distinct"),
            ({"silence": "sil"}, "'sil' is not a phone"),
            ({"fillers": ("SIL", "+NSN+")}, "'\\+NSN\\+' is not a phone"),
            ({"features": FeatureOptions(streams="1s_c")}, "13 features a frame, .* take 3"),
            ({"hmm_pdfs": [[0], [1]]}, "an HMM for each phone"),
            ({"hmm_pdfs": [[0, 1], [-1, 2], [3, 4], [5, 6]]}, "needs a state"),
            ({"hmm_pdfs": [[0, 1], [2, 7], [3, 4], [5, 6]]}, "pdf 7 is not one of 7"),
            ({"hmm_phone": [1, 0, 2, 0]}, "out of context, in order"),
            ({"hmm_phone": [0, 1, 2]}, "match hmm_pdfs in shape"),
            ({"hmm_exit_log_probs": np.full((4, 2), -np.inf)}, "cannot be left"),
            ({"triphone_hmms": [4]}, "must lie in 0..3"),
        ],
    )
    def test_its_parts_must_fit(self, changes: dict[str, object], law: str) -> None:
        with pytest.raises(OptionError, match=law):
            tiny_model(**changes)


def test_a_gaussian_model_as_topology_asks_its_triphones() -> None:
    model = tiny_model()
    topology = model.topology
    rng = np.random.default_rng(0)
    symbols = np.concatenate([[SINGLE + N_POSITIONS], rng.integers(0, 12, 40)])
    phones = np.append(np.append(1, symbols // N_POSITIONS), 1)  # silence at both ends
    asked = model.hmm_index(phones[1:-1], phones[:-2], phones[2:], symbols % N_POSITIONS)
    assert topology.units_of(symbols).tolist() == asked.tolist()
    alone = tiny_model(triphone_contexts=np.zeros((0, 4)), triphone_hmms=np.zeros(0)).topology
    assert alone.unit_of.shape == (12, 1, 3)
    assert alone.units_of(symbols).tolist() == (symbols // N_POSITIONS).tolist()
