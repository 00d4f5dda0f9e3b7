"""The beam: how narrow it may be before words are lost.

At every frame the decoder drops the tokens whose cost lies more than `beam` behind the best one's.
A narrow beam is fast, and sometimes drops what would have won in the end: a search error, which
shows as a cost above that of the widest beam. Word errors that stay at any beam are the models'.

    python examples/04_beam_against_accuracy.py

draws 04_beam_against_accuracy.png: word errors, search errors and time, over the beam.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from drawing import BLUE, GREEN, GREY, HERE, RED, ROOT, figure, save

from factored_asr import Recognizer
from factored_asr.audio.reading import read_audio
from factored_asr.decoder import BeamOptions, Search
from factored_asr.evaluation.scoring import score
from factored_asr.models.settings import COMMANDS

BEAMS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20)
NOISE = 0.01  # of full scale: a loud hiss, or no command would ever be lost


@dataclass
class Point:
    """What decoding all sentences with one beam came to."""

    word_errors: float
    search_errors: float
    tokens: float
    """Expanded a frame."""
    real_time: float
    """Seconds of search a second of sound."""


def main() -> None:
    """Decode the same scores with ever wider beams."""
    # Without the background, which takes what fits badly for no command at all.
    bare = replace(COMMANDS, background=None)
    recognizer = Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml", options=bare)
    sentences = read_sentences()
    scores = [scores_of(recognizer, name, i) for i, name in enumerate(sentences)]
    seconds = sum(map(len, scores)) * recognizer.model.frame_seconds
    decode_all(recognizer, scores[:1], 4)  # the search is compiled, once, at its first use
    decoded = {beam: decode_all(recognizer, scores, beam) for beam in BEAMS}
    best = decoded[BEAMS[-1]].costs
    points = []
    print("beam  word errors  search errors  tokens a frame  x real time")
    for beam, run in decoded.items():
        scored = [score("", "", said.split(), words)
                  for said, words in zip(sentences.values(), run.words, strict=True)]  # fmt: skip
        errors = sum(each.errors.total for each in scored)
        n_words = sum(each.errors.n_words for each in scored)
        point = Point(
            errors / n_words, float(np.mean(np.array(run.costs) > np.array(best) + 0.01)),
            run.n_tokens / sum(map(len, scores)), run.seconds / seconds,
        )
        points.append(point)
        print(f"{beam:4}{point.word_errors:12.1%}{point.search_errors:14.1%}{point.tokens:15.0f}"
              f"{point.real_time:14.4f}")  # fmt: skip
    draw(points)


def read_sentences() -> dict[str, str]:
    """File name → text, of the spoken examples that the grammar has."""
    lines = (HERE / "audio" / "texts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {file: text for file, _, text in rows[:9]}


def scores_of(recognizer: Recognizer, name: str, seed: int) -> np.ndarray:
    """Scaled log-likelihoods of a noisy sound, (n_frames, n_pdfs): all the search sees of it."""
    samples, rate = read_audio(HERE / "audio" / name, sample_rate=16000)
    noise = np.random.default_rng(seed).normal(0, NOISE, len(samples))
    session = recognizer.model.session(recognizer.graph.pdfs, whole=True)
    session.accept((samples + noise).astype(np.float32))
    scale = np.float32(recognizer.options.acoustic_scale)
    return np.concatenate(list(session.finish())) * scale


@dataclass
class Decoded:
    """All sentences, decoded with one beam."""

    words: list[tuple[str, ...]]
    costs: list[float]
    n_tokens: int
    seconds: float


def decode_all(recognizer: Recognizer, scores: list[np.ndarray], beam: float) -> Decoded:
    """Search the graph for each sentence; the beam alone decides, not the number of tokens."""
    options = BeamOptions(beam=beam, min_active=0, max_active=0, lattice_beam=0)
    words, costs, n_tokens = [], [], 0
    began = time.process_time()
    for each in scores:
        search = Search(recognizer.graph, options, pdfs=recognizer.graph.pdfs)
        search.start()
        search.advance(each)
        path = search.finish().best()
        words.append(path.words if path.reached_final else ())
        costs.append(path.cost if path.reached_final else np.inf)
        n_tokens += search.n_tokens_expanded
    return Decoded(words, costs, n_tokens, time.process_time() - began)


def draw(points: list[Point]) -> None:
    """Errors fall as the beam widens, until only the models' own are left; time goes on rising."""
    drawing, (left, right) = figure(1, 2, width=11, height=4)
    left.plot(BEAMS, [100 * p.word_errors for p in points], "o-", color=BLUE, label="word errors")
    left.plot(BEAMS, [100 * p.search_errors for p in points], "s--", color=RED,
              label="sentences with a search error")  # fmt: skip
    left.set(xlabel="beam (cost)", ylabel="%", title="what a narrow beam loses")
    left.legend()
    right.plot(BEAMS, [p.tokens for p in points], "o-", color=GREEN, label="tokens a frame")
    right.set(xlabel="beam (cost)", ylabel="tokens a frame", title="what a wide beam costs")
    times = right.twinx()
    times.plot(BEAMS, [p.real_time for p in points], "s--", color=GREY, label="x real time")
    times.set(ylabel="seconds of search a second of sound", ylim=(0, None))
    right.set_ylim(0, None)
    drawing.legend(*zip(*[(line, line.get_label()) for line in (*right.lines, *times.lines)],
                        strict=True), loc="lower right", bbox_to_anchor=(0.92, 0.2))  # fmt: skip
    save(drawing, __file__)


if __name__ == "__main__":
    main()
