"""The search: equal to brute force where it can be counted, and to itself however it is fed."""

from __future__ import annotations

import threading
from dataclasses import replace

import naive_decoder as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import (
    graph_of,
    random_graph,
    random_scores,
    small_tasks,
    spoken,
    word_graph,
)

from factored_asr.decoder import (
    BeamOptions,
    EndpointOptions,
    EndpointRule,
    Search,
    decode,
    is_endpoint,
)
from factored_asr.errors import FormatError, OptionError
from factored_asr.graph import ARC, Graph

EVERYTHING = BeamOptions(beam=float("inf"), max_active=0, min_active=0)
NARROW = BeamOptions(beam=4.0, max_active=40, min_active=5, history_steps=16)


@settings(max_examples=600, deadline=None)
@given(small_tasks())
def test_brute_force_naive_viterbi_and_decode_agree(task):
    graph, scores = task
    expected, reached_final = naive.brute_force(graph, scores)
    assert naive.viterbi(graph, scores) == (pytest.approx(expected, abs=1e-9), reached_final)
    lattice = decode(graph, scores, EVERYTHING)
    path = lattice.best()
    assert path.cost == pytest.approx(expected, abs=1e-4)
    assert path.reached_final == reached_final
    assert bool(lattice.reason) == (not reached_final)
    if expected < np.inf:
        walked, last = naive.path_cost(graph, scores, path.arcs)
        walked += float(graph.final[last]) if reached_final else 0.0
        assert walked == pytest.approx(expected, abs=1e-4)
        words = graph.arcs["word"][path.arcs]
        assert path.word_ids == tuple(words[words != 0])


@pytest.mark.parametrize("seed", range(20))
def test_decode_equals_naive_viterbi_on_larger_graphs(seed):
    graph, scores = random_graph(60, 200, 10, seed), random_scores(30, 10, seed)
    expected, reached_final = naive.viterbi(graph, scores)
    path = decode(graph, scores, EVERYTHING).best()
    assert (path.cost, path.reached_final) == (pytest.approx(expected, abs=1e-3), reached_final)
    walked, last = naive.path_cost(graph, scores, path.arcs)
    walked += float(graph.final[last]) if reached_final else 0.0
    assert walked == pytest.approx(path.cost, abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(small_tasks(), st.sampled_from([0.0, 6.0]))
def test_the_order_of_arcs_changes_no_cost(task, lattice_beam):
    """A self-loop in front of a state's other arcs is taken by a pass of its own."""
    graph, scores = task
    ordered = Graph.from_arcs(graph.sources, graph.arcs, graph.final)
    options = replace(EVERYTHING, lattice_beam=lattice_beam)
    one, other = decode(graph, scores, options), decode(ordered, scores, options)
    assert other.best().cost == pytest.approx(one.best().cost, abs=1e-4)
    assert (other.reason, other.n_nodes) == (one.reason, one.n_nodes)


@pytest.mark.parametrize("n_arcs", [5, 1000, 70_000])
@pytest.mark.parametrize("lattice_beam", [0.0, 1.0])
def test_states_may_have_any_number_of_arcs(n_arcs, lattice_beam):
    """Epsilon arcs, a loop, then others: from state 0 to 1, 2, …, each of another cost."""
    targets = np.arange(1, n_arcs + 1)
    cost = 1.0 + (targets * 7919 % n_arcs) / n_arcs
    for label in (0, 1):
        rows = np.zeros(2 * n_arcs + 1, ARC)
        rows["label"][:n_arcs], rows["cost"][:n_arcs] = label, cost
        rows["target"][:n_arcs], rows["word"][:n_arcs] = targets, targets
        rows[n_arcs] = (1, 0, 0.25, 0)
        rows["label"][n_arcs + 1 :], rows["target"][n_arcs + 1 :] = 2, targets
        sources = np.concatenate([np.zeros(n_arcs + 1, np.int64), targets])
        final = np.zeros(n_arcs + 1, np.float32)
        final[0] = np.inf
        graph = Graph.from_arcs(sources, rows, final)
        scores = np.array([[0.0, -50.0]] * 3 + [[-50.0, 0.0]] * 2, np.float32)
        options = BeamOptions(max_active=0, lattice_beam=lattice_beam)
        path = decode(graph, scores, options).best()
        n_loops = 2 + (label == 0)
        assert path.cost == pytest.approx(0.25 * n_loops + float(cost.min()), abs=1e-4)
        assert path.words == (str(int(targets[cost.argmin()])),)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 60), max_size=8))
def test_any_chunking_is_the_same_bit_for_bit(seed, cuts):
    graph, scores = random_graph(300, 1000, 20, seed), random_scores(60, 20, seed)
    whole = decode(graph, scores, NARROW)
    search = Search(graph, NARROW)
    for chunk in np.split(scores, sorted(cuts)):
        search.advance(chunk)
    assert_same(search.finish(), whole)


def assert_same(one, other):
    assert (one.n_frames, one.reason) == (other.n_frames, other.reason)
    assert one.best().cost == other.best().cost
    assert one.best().arcs.tolist() == other.best().arcs.tolist()
    assert one.best().words == other.best().words


@pytest.mark.parametrize("seed", range(5))
def test_dropping_unreachable_history_changes_nothing(seed):
    graph, scores = random_graph(2000, 7000, 30, seed), random_scores(200, 30, seed)
    options = BeamOptions(beam=8.0, max_active=300, min_active=20)
    often, never = (
        decode(graph, scores, replace(options, history_steps=size)) for size in (16, 1 << 20)
    )
    assert_same(often, never)


def test_history_stays_small_over_many_frames():
    graph = random_graph(500, 1800, 20, 3)
    search = Search(graph, replace(NARROW, history_steps=2000))
    for seed in range(100):
        search.advance(random_scores(100, 20, seed))
    assert search.n_frames == 10_000
    # What must stay is the one best path behind all tokens: about a step a frame.
    assert len(search._steps) < 8 * 10_000


def test_cost_stays_precise_over_many_frames():
    graph = graph_of(2, [(0, 1, 1, 0.0, 1), (1, 1, 0, 0.1, 1)], {1: 0.0})
    n_frames = 100_000
    path = decode(graph, np.full((n_frames, 1), -123.456, np.float32)).best()
    expected = n_frames * float(np.float32(123.456)) + (n_frames - 1) * float(np.float32(0.1))
    assert path.cost == pytest.approx(expected, rel=1e-6)


def test_many_threads_share_one_graph():
    graph = random_graph(3000, 9000, 30, 1)
    tasks = [random_scores(80, 30, seed) for seed in range(8)]
    expected = [decode(graph, scores, NARROW) for scores in tasks]
    found = [None] * len(tasks)

    def work(index):
        search = Search(graph, NARROW)
        for row in range(0, 80, 7):
            search.advance(tasks[index][row : row + 7])
        found[index] = search.finish()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3))
def test_searches_that_take_turns_in_threads_do_not_disturb_each_other(seed, n_threads):
    """State arrays are shared by all searches of a thread, of large graphs and small ones."""
    rng = np.random.default_rng(seed)
    graphs = [random_graph(int(n), 4 * int(n), 10, seed + n) for n in rng.integers(3, 300, 4)]
    tasks = [(graph, random_scores(25, 10, seed + k)) for k, graph in enumerate(graphs)]
    options = [NARROW, replace(NARROW, lattice_beam=0.0)]
    alone = [decode(graph, scores, each) for graph, scores in tasks for each in options]
    found: list = [None] * n_threads
    start = threading.Barrier(n_threads)

    def take_turns(thread: int) -> None:
        order = np.random.default_rng(seed + thread)
        start.wait()
        searches = [Search(graph, each) for graph, _ in tasks for each in options]
        done = [0] * len(searches)
        while min(done) < 25:
            k = int(order.choice(np.flatnonzero(np.array(done) < 25)))
            n = int(order.integers(1, 9))
            searches[k].advance(tasks[k // 2][1][done[k] : done[k] + n])
            done[k] += n
        found[thread] = [search.finish() for search in searches]

    threads = [threading.Thread(target=take_turns, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lattices in found:
        for one, other in zip(lattices, alone, strict=True):
            assert one.best().cost == other.best().cost and one.reason == other.reason
            assert np.array_equal(one.best().arcs, other.best().arcs)
            assert np.array_equal(one.arc_cost, other.arc_cost)


@pytest.mark.parametrize("seed", range(5))
def test_columns_may_be_those_of_some_pdfs(seed):
    """Two searches share the columns of both their graphs."""
    graph, scores = random_graph(40, 150, 12, seed), random_scores(20, 30, seed)
    rng = np.random.default_rng(seed)
    graph = replace(graph, label_pdf=np.append(-1, rng.integers(0, 30, graph.n_labels)))
    pdfs = np.union1d(graph.pdfs, rng.integers(0, 30, 5))
    search = Search(graph, pdfs=pdfs)
    search.advance(scores[:, pdfs])
    found, expected = search.finish(), decode(graph, scores)
    assert found.best().cost == expected.best().cost
    assert np.array_equal(found.best().arcs, expected.best().arcs)
    with pytest.raises(OptionError, match=r"30 columns, there are \d+ pdfs"):
        search.advance(scores)
    with pytest.raises(OptionError, match=f"that are not among the .*, such as {graph.pdfs[-1]}"):
        Search(graph, pdfs=graph.pdfs[:-1])
    with pytest.raises(OptionError, match="ascending"):
        Search(graph, pdfs=pdfs[::-1])


def test_a_search_can_be_started_again():
    graph, scores = random_graph(300, 1000, 20, 5), random_scores(40, 20, 5)
    search = Search(graph, NARROW)
    search.advance(scores)
    first = search.finish()
    search.start()
    assert search.n_frames == 0
    search.advance(scores)
    assert_same(search.finish(), first)


@pytest.mark.parametrize("lattice_beam", [0.0, 4.0])
@pytest.mark.parametrize("steps", [16, 1 << 16])
def test_a_branch_goes_on_alone(lattice_beam, steps):
    graph, scores = random_graph(300, 1000, 20, 5), random_scores(60, 20, 5)
    options = replace(NARROW, lattice_beam=lattice_beam, history_steps=steps)
    search, straight = Search(graph, options), Search(graph, replace(options, lattice_beam=0.0))
    search.advance(scores[:25])
    branch = search.branch()
    branch.advance(scores[40:])
    straight.advance(np.concatenate([scores[:25], scores[40:]]))
    found, expected = branch.partial(), straight.partial()
    assert found.cost == expected.cost and np.array_equal(found.arcs, expected.arcs)
    search.advance(scores[25:])
    assert_same(search.finish(), decode(graph, scores, options))


@pytest.mark.parametrize("max_active", [0, 60])
@pytest.mark.parametrize("seed", range(10))
def test_kaldi_finds_the_same_cost(seed, max_active, tmp_path):
    kaldifst = pytest.importorskip("kaldifst")
    kaldi_decoder = pytest.importorskip("kaldi_decoder")
    graph, scores = random_graph(400, 2400, 20, seed), random_scores(40, 20, seed)
    graph.write_openfst(tmp_path / "graph.fst")
    fst = kaldifst.StdConstFst.read(str(tmp_path / "graph.fst"))
    limit = max_active or 2**31 - 1
    kaldi = kaldi_decoder.FasterDecoder(
        fst, kaldi_decoder.FasterDecoderOptions(beam=6.0, max_active=limit, min_active=20)
    )
    kaldi.decode(kaldi_decoder.DecodableCtc(scores))
    ok, best = kaldi.get_best_path()
    assert ok
    ok, _, words, total = kaldifst.get_linear_symbol_sequence(best)
    expected = total.value1 + total.value2
    path = decode(graph, scores, BeamOptions(beam=6.0, max_active=max_active, min_active=20)).best()
    # With a limit both keep the cheapest tokens, but not in the same order.
    assert path.cost == pytest.approx(expected, abs=1e-3 if not max_active else 0.5)
    assert path.reached_final == kaldi.reached_final()


# One word "on" (AA N) between silences, as a graph that knows its phones:
# label 1, 2: AA's two states; 3: N's one state, end of a word; 4: silence.
def test_times_and_phones_are_read_from_the_labels_not_from_the_word_arc():
    labels = [4, 4, 1, 1, 2, 3, 3, 4, 4]
    lattice = decode(word_graph(), spoken(labels))
    path = lattice.best()
    assert path.words == ("on",) and path.labels.tolist() == labels
    (word,) = path.segments
    assert (word.start, word.end) == (2, 7)  # its label stands on the arc of frame 7
    assert [(p.phone, p.start, p.end) for p in word.phones] == [("AA", 2, 5), ("N", 5, 7)]
    assert [p.phone for p in path.phones] == ["SIL", "AA", "N", "SIL"]
    assert (path.trailing_silence, path.has_speech) == (2, True)
    assert lattice.frame_seconds == 0.01 and lattice.reached_final


def test_the_same_word_twice_is_two_segments():
    path = decode(word_graph(), spoken([1, 2, 3, 1, 2, 2, 3, 4])).best()
    assert path.words == ("on", "on")
    assert [(s.start, s.end) for s in path.segments] == [(0, 3), (3, 7)]


def test_silence_alone_has_no_words():
    search = Search(word_graph())
    search.advance(spoken([4, 4, 4]))
    path = search.partial()
    assert path is not None
    assert (path.words, path.has_speech, path.trailing_silence) == ((), False, 3)


def test_a_partial_path_knows_a_word_before_it_ends():
    graph = word_graph()
    arcs = graph.arcs.copy()
    arcs["word"] = np.where((arcs["label"] == 1) & (arcs["target"] == 1), 0, arcs["word"])
    search = Search(replace(graph, arcs=arcs))
    search.advance(spoken([4, 1, 2, 3, 4, 4]))
    path = search.partial()
    assert path is not None and not path.reached_final
    assert [(s.word, s.start, s.end) for s in path.segments] == [("on", 1, 4)]


def test_a_foreign_graph_gives_words_without_times():
    graph = graph_of(2, [(0, 1, 7, 0.5, 1), (1, 1, 0, 0.5, 1)], {1: 0.0})
    (word,) = decode(graph, np.zeros((3, 1), np.float32)).best().segments
    assert (word.word, word.word_id, word.start, word.end, word.phones) == ("7", 7, None, None, ())


def test_where_no_path_ends_the_best_that_does_not_is_told():
    lattice = decode(word_graph(), spoken([4, 1, 2]), BeamOptions(min_active=0))
    assert not lattice.reached_final
    assert "final state" in lattice.reason
    assert lattice.best().labels.tolist() == [4, 1, 2]


def test_where_no_path_survives_the_lattice_says_so():
    scores = spoken([4, 1, 2, 3])
    scores[2] = -np.inf
    lattice = decode(word_graph(), scores)
    assert lattice.reason == "no path survived frame 2"
    assert (lattice.best().cost, lattice.best().words) == (np.inf, ())
    search = Search(word_graph())
    search.advance(scores)
    search.advance(scores)  # goes on being dead
    assert search.partial() is None and search.final_relative_cost() == np.inf


def test_no_frames_give_no_words():
    lattice = decode(word_graph(), np.zeros((0, 4), np.float32))
    assert (lattice.n_frames, lattice.best().words, lattice.reached_final) == (0, (), False)


def test_a_table_of_tokens_grows_as_needed():
    n_states = 40_000  # more than a search starts with room for
    arcs = [(0, 1, 0, 0.0, state) for state in range(1, n_states)]
    arcs += [(state, 1, 0, 0.001 * (state % 7), state) for state in range(1, n_states)]
    graph = graph_of(n_states, arcs, {n_states - 1: 0.0})
    search = Search(graph, BeamOptions(max_active=0))
    search.advance(np.zeros((3, 1), np.float32))
    assert search.n_tokens_expanded == 1 + 2 * (n_states - 1)
    lattice = search.finish()
    assert lattice.reached_final
    assert lattice.best().cost == pytest.approx(2 * 0.001 * ((n_states - 1) % 7))


def test_epsilon_arcs_may_lead_far_in_one_frame():
    n_states = 3000
    arcs = [(0, 1, 0, 0.0, 1)]
    arcs += [(state, 0, 1, 0.0, state + 1) for state in range(1, n_states - 1)]
    graph = graph_of(n_states, arcs, {n_states - 1: 0.0})
    lattice = decode(graph, np.zeros((1, 1), np.float32), BeamOptions(history_steps=16))
    assert len(lattice.best().words) == n_states - 2
    assert lattice.reached_final


def test_max_active_bounds_the_work_and_min_active_keeps_some():
    graph, scores = random_graph(3000, 20_000, 30, 1), random_scores(50, 30, 1)
    searches = [
        Search(graph, BeamOptions(beam=20.0, max_active=40, min_active=0)),
        Search(graph, BeamOptions(beam=20.0, max_active=0, min_active=0)),
        Search(graph, BeamOptions(beam=0.01, max_active=0, min_active=50)),
        Search(graph, BeamOptions(beam=float("inf"), max_active=40, min_active=0)),
    ]
    for search in searches:
        search.advance(scores)
    tight, free, widened, unbound = (search.n_tokens_expanded / 50 for search in searches)
    assert tight < 44 < free
    assert 40 < widened < 60
    assert 30 < unbound < 44


def test_epsilon_loops_of_no_cost_end_and_negative_ones_are_refused():
    arcs = [(0, 0, 0, 0.0, 1), (1, 0, 0, 0.0, 0), (1, 1, 1, 0.0, 1)]
    scores = np.zeros((2, 1), np.float32)
    assert decode(graph_of(2, arcs, {1: 0.0}), scores).best().words == ("1", "1")
    arcs[1] = (1, 0, 0, -0.5, 0)
    with pytest.raises(FormatError, match="cycle of negative cost"):
        decode(graph_of(2, arcs, {1: 0.0}), scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_must_be_numbers(bad):
    scores = spoken([4, 1, 2, 3])
    scores[2, 1] = bad
    with pytest.raises(FormatError, match=r"log_likelihoods\[2, 1\] is (nan|inf)"):
        decode(word_graph(), scores)


def test_columns_no_label_uses_are_not_read():
    scores = np.full((4, 6), np.nan, np.float32)
    scores[:, :4] = spoken([4, 1, 2, 3])
    assert decode(word_graph(), scores).best().labels.tolist() == [4, 1, 2, 3]


def test_scores_must_fit_the_graph():
    with pytest.raises(OptionError, match="3 columns, the graph's labels use 4"):
        decode(word_graph(), np.zeros((5, 3), np.float32))
    with pytest.raises(OptionError, match=r"\(n_frames, n_pdfs\), got an array of shape \(5,\)"):
        decode(word_graph(), np.zeros(5, np.float32))


def test_scores_may_be_read_only_or_a_list():
    scores = spoken([4, 1, 2, 3])
    path = decode(word_graph(), scores.tolist()).best()
    scores.flags.writeable = False
    assert decode(word_graph(), scores).best().cost == path.cost
    with pytest.raises(OptionError, match="matrix of numbers"):
        decode(word_graph(), [["no"] * 4])


@pytest.mark.parametrize(
    ("option", "value"), [("beam", 0.0), ("beam", float("nan")), ("max_active", -1)]
)
def test_options_say_what_they_may_be(option, value):
    with pytest.raises(OptionError, match=option):
        BeamOptions(**{option: value})
    with pytest.raises(OptionError, match="must not exceed max_active"):
        BeamOptions(max_active=10, min_active=20)


@pytest.mark.parametrize(
    ("silence", "cost", "length", "ends"),
    [
        (4.9, 0.0, 4.9, False), (5.0, np.inf, 5.0, True),  # nothing said
        (0.5, 2.0, 3.0, True), (0.5, 2.1, 3.0, False), (0.4, 0.0, 3.0, False),
        (1.0, 8.0, 3.0, True), (1.0, 8.1, 3.0, False),
        (2.0, np.inf, 3.0, True), (1.9, np.inf, 3.0, False),
        (0.0, np.inf, 20.0, True), (0.0, np.inf, 19.9, False),  # too long
    ],
)
def test_the_five_endpoint_rules(silence, cost, length, ends):
    assert is_endpoint(silence, cost, length) == ends


def test_an_endpoint_rule_can_be_replaced():
    patient = EndpointOptions(likely_end=EndpointRule(True, 0.9, 2.0))
    assert is_endpoint(0.6, 1.0, 3.0)
    assert not is_endpoint(0.6, 1.0, 3.0, options=patient)
    with pytest.raises(OptionError, match="min_trailing_silence"):
        EndpointRule(True, -1.0)


def test_the_search_tells_how_likely_the_end_is():
    search = Search(word_graph())
    search.advance(spoken([1, 2, 3]))
    assert search.final_relative_cost() == pytest.approx(1.0)
    search.advance(spoken([4]))
    assert search.final_relative_cost() == pytest.approx(0.0)
