"""Wake words in noise: misses at a rate of false alarms, by pronunciation alone and enrolled.

    python tests/bench/wake_words.py [--write wake_words] [--every 4] [--hours 1] [--ship] [--slope]
    python tests/bench/wake_words.py --alone [--write wake_words_alone]
    python tests/bench/wake_words.py --unheard [--write wake_words_unheard]

"alexa" and "jarvis" by speakers that nothing was learnt from, each recording after 2 s and before
1 s of the noise it is in, at 10 dB: a kitchen, babble of six speakers, the sounds of ESC-10. False
alarms are counted in other speech, clean and in the same noises: accented readers and orders. The
threshold is the one that `KeywordOptions.false_alarms` gives. Below it stand points of the curve:
the lowest thresholds at which 0 to 3 false alarms are in all of this sound, so they were chosen on
what is measured. Enrolled from up to 50 recordings that are not measured: the second of each four,
where each fourth from `--first` on is measured. ``--alone`` enrols none.

``--ship`` writes factored_asr/detectors/background.npz first: what the network says of 600
sentences of the native_english voice (CC0), clean and in noise; directedness uses it. Then it
writes kinds.npz, which keywords are told from: 300 of these sentences, orders (Apache-2.0) and
twelve adult accented readers (CC BY 4.0). False alarms are counted in other orders and readers.
``--slope`` prints `background.PHONE_SLOPE`, alone. ``--unheard`` measures enrolled words on each
kind of kinds.npz, with what the other two teach, alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from common import (
    N_BOOTSTRAP,
    SAMPLE_RATE,
    accented_english,
    parser,
    read_samples,
    report,
)

from factored_asr.acoustic.network.encoder import FIELD, HOP
from factored_asr.acoustic.network.memory import WIDTH
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.mixing import add_noise
from factored_asr.detectors import (
    Detection,
    FrameBlock,
    FrameStream,
    KeywordDetector,
    KeywordOptions,
    enrolment,
)
from factored_asr.detectors import frames as shared_frames
from factored_asr.detectors.background import (
    SHIPPED,
    SHIPPED_KINDS,
    STRETCH,
    pooled_slope,
    random_rows,
    shipped_kinds,
    write_background,
)
from factored_asr.detectors.enrolment import AHEAD
from factored_asr.detectors.frames import AGAIN, DETECTION, whole_frames
from factored_asr.detectors.keywords import pronunciations_of
from factored_asr.detectors.spotting import PhoneRow, Spotter
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

WORDS = ("alexa", "jarvis")
RATES, OFTEN = (2.0, 0.5, 0.1), (20.0, 5.0)
CHOSEN, TRIED = (3, 2, 1, 0), 8
"""False alarms in all of the sound, for which thresholds are chosen, and from how many on each
threshold is tried."""
ENROLLED, N_FILES, N_NATIVE = 50, 600, 300
"""Recordings of a keyword, and of the native_english voice in each background."""
EACH = 3
"""Of the orders, and of the adult accented readers, each third one is of a background."""
ADULT = 18  # years
KINDS = ("native_english", "orders", "accented readers")
N_ROWS, LENGTHS = 60, (5, 6, 7, 8, 9, 10)
"""Rows of phones for the slope, and how many phones they have."""
SNR = 10.0
NEW = 75
"""Frames of the background that are computed at once."""
N_AHEAD = DETECTION.right * HOP + FIELD - HOP - (FIELD - HOP) // 2
"""Samples of `FrameBlock.ahead`."""
BEFORE, AFTER = 2 * SAMPLE_RATE, SAMPLE_RATE


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--every", type=int, default=4, help="use every n-th recording")
    options.add_argument("--first", type=int, default=3, help="of the recordings, from 0")
    options.add_argument("--hours", type=float, default=1.0, help="of sound without the words")
    options.add_argument("--alone", action="store_true", help="enrol none, which takes long")
    options.add_argument("--ship", action="store_true", help="also write the shipped background")
    options.add_argument("--unheard", action="store_true", help="measure kinds left out, alone")
    options.add_argument("--slope", action="store_true", help="print the slope of the tail, alone")
    given = options.parse_args()
    model = Bundle.find("en-us-network").acoustic_model()
    assert isinstance(model, NetworkModel)
    if given.slope:
        print("PHONE_SLOPE =", round(slope(model), 2))
        return
    if given.unheard:
        report(given, "False alarms of enrolled wake words in kinds of sound that were left out",
               list(unheard(model, given.data)), ("word", "left out", "hours", *(
                   f"asked for {rate:g} an hour" for rate in (*OFTEN, *RATES))))
        return
    noises = noises_of(given.data)
    if given.ship:
        native = sorted((given.data / "native_english").rglob("*.ogg"))[::2][:N_FILES]
        log_probs, hidden, _ = background(model, [native], noises)
        write_background(SHIPPED, model.phones, log_probs, hidden)
        kinds = background(model, kinds_of(given.data), noises)
        write_background(SHIPPED_KINDS, model.phones, *kinds)
    shared_frames.whole_frames = known_frames
    detectors = detectors_of(model, None if given.alone else given.data)
    folder = given.work / "wake_words"
    alarms: dict[tuple[str, str, str], list[float]] = {key: [] for key in detectors}
    near: dict[tuple[str, str, str], list[list[FrameBlock]]] = {
        key: [] for key in detectors if key[2] == asked(RATES[0])}
    hours = 0.0
    for number, sound in enumerate(others(given.data, noises)):
        if hours >= given.hours:
            break
        blocks = list(frames(model, sound, folder / f"other_{number}.npz"))
        hours += len(sound) / SAMPLE_RATE / 3600
        for key, detector in detectors.items():
            scores = run(detector, model, blocks)
            alarms[key] += scores
            if scores and key in near:
                near[key].append(blocks)
    for (word, kind, name), kept in near.items():
        for chosen, scores in chosen_on(kept, detectors[word, kind, name], model):
            key = word, kind, f"{len(scores)}, threshold chosen on these sounds"
            detectors[key], alarms[key] = chosen, scores
    missed: dict[tuple[str, str, str], dict[str, list[bool]]] = {
        key: {name: [] for name in noises} for key in detectors}
    for word in WORDS:
        for file in recordings_of(given.data, word)[given.first :: given.every]:
            said = np.concatenate([np.zeros(BEFORE), read_samples(file), np.zeros(AFTER)])
            for name in noises:
                sound = in_noise(said, noises[name], file.name + name)
                blocks = list(frames(model, sound, folder / f"{word}_{file.stem}_{name}.npz"))
                for key, detector in detectors.items():
                    if key[0] == word:
                        missed[key][name].append(not run(detector, model, blocks))
    rows = []
    for key in sorted(detectors, key=lambda key: key[:2]):
        each = np.array(list(missed[key].values()))
        shares = [f"{100 * share:.0f} %" for share in each.mean(axis=1)]
        rows.append((*key, each.shape[1], *shares, share_of(each),
                     an_hour(len(alarms[key]), hours)))
    learnt = ", from the pronunciation alone" if given.alone else ""
    report(given, f"Wake words of unseen speakers, 10 dB{learnt}", rows,
           ("word", "learnt from", "false alarms", "recordings", *noises,
            "missed in all", "false alarms found, and an hour"))


def chosen_on(kept: list[list[FrameBlock]], detector: KeywordDetector, model: NetworkModel
              ) -> Iterator[tuple[KeywordDetector, list[float]]]:
    """Yield detectors of the lowest thresholds with as few false alarms as `CHOSEN` says.

    Each comes with the scores of its false alarms. `kept` are all sounds in which the given
    detector, of a lower threshold, has any. What is judged again depends on the threshold a little,
    so each is tried.
    """
    scores = [score for blocks in kept for score in run(detector, model, blocks)]
    for most in CHOSEN:
        while len(scores) > most:
            threshold = sorted(scores, reverse=True)[:TRIED][-1] + 1e-4
            detector = with_options(detector, KeywordOptions(threshold=threshold))
            scores = [score for blocks in kept for score in run(detector, model, blocks)]
        if detector.options.threshold is not None:  # else the given one has no more already
            yield detector, scores


def score_of(detector: KeywordDetector, found: Detection) -> float:
    """What `KeywordOptions.threshold` is compared with."""
    for verifier in detector.verifiers.values():
        return float(np.log(found.score / (1 - found.score)) - verifier.said)
    return dict(found.details)["ratio"]


def asked(rate: float) -> str:
    """The name of a threshold that follows from a rate."""
    return f"{rate:g} an hour asked for"


def share_of(missed: np.ndarray) -> str:
    """The share of misses, (n_noises, n_recordings), with its interval over recordings."""
    each = missed.mean(axis=0)
    draws = np.random.default_rng(0).integers(0, len(each), (N_BOOTSTRAP, len(each)))
    low, high = np.quantile(each[draws].mean(axis=1), (0.025, 0.975))
    return f"{100 * each.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def an_hour(n_alarms: int, hours: float) -> str:
    """False alarms an hour, with their exact 95 % interval of Poisson."""
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * n_alarms) / 2 if n_alarms else 0.0
    high = chi2.ppf(0.975, 2 * n_alarms + 2) / 2
    return f"{n_alarms} in {hours:.1f} h: {low / hours:.2f} to {high / hours:.2f}"


def recordings_of(data: Path, word: str) -> list[Path]:
    """All recordings of a word."""
    return sorted((data / "wake_words" / word).glob("*.flac"))


def detectors_of(model: NetworkModel, data: Path | None
                 ) -> dict[tuple[str, str, str], KeywordDetector]:
    """Detectors by word, what they learn from, and threshold; without data none is enrolled."""
    phones = pronunciations_of(WORDS, Recipe(Bundle.find("en-us-network")))
    made = {}
    for word in WORDS:
        kind, detector = "pronunciation", KeywordDetector({word: phones[word]})
        if data:
            teaching = [read_samples(file) for file in recordings_of(data, word)[1::4][:ENROLLED]]
            kind, detector = f"{len(teaching)} too", detector.enrol(word, teaching, model)
        for rate in RATES:
            made[word, kind, asked(rate)] = with_options(
                detector, KeywordOptions(false_alarms=rate))
    return made


def with_options(detector: KeywordDetector, options: KeywordOptions) -> KeywordDetector:
    """Return a detector of the same keywords, enrolled alike."""
    keywords = {name: [" ".join(each) for each in given]
                for name, given in detector.keywords.items()}
    made = KeywordDetector(keywords, options)
    made.verifiers.update(detector.verifiers)
    return made


def unheard(model: NetworkModel, data: Path) -> Iterator[tuple[object, ...]]:
    """Yield the false alarms of each word in each kind of sound, by what the others teach."""
    whole = shipped_kinds()
    kind_of = whole.kinds(np.arange(len(whole.log_probs)))
    enrolment.whole_frames = known_frames
    phones = pronunciations_of(WORDS, Recipe(Bundle.find("en-us-network")))
    for word in WORDS:
        (row, *_) = KeywordDetector({word: phones[word]}).pronunciations(word, model)
        teaching = [read_samples(file) for file in recordings_of(data, word)[1::4][:ENROLLED]]
        for kind, name in enumerate(KINDS):
            other = kind_of != kind
            ends = np.cumsum(np.bincount(kind_of[other], minlength=len(KINDS)))
            rest = replace(whole, log_probs=whole.log_probs[other], parts=whole.parts[other],
                           ends=tuple(map(int, np.unique(ends[ends > 0]))))
            made = enrolment.learn(row, teaching, model, rest)
            here = replace(whole, log_probs=whole.log_probs[~other], parts=whole.parts[~other])
            hours = len(here.log_probs) * model.frame_seconds / 3600
            best = enrolment.others(row, here, round(enrolment.LEARNT * hours))
            scores = enrolment.log_odds(made.classifier, best.values)
            yield (word, name, f"{hours:.2f}", *(
                f"{int((scores >= made.tail.threshold(rate)).sum())} ({rate * hours:.1f})"
                for rate in (*OFTEN, *RATES)))


def slope(model: NetworkModel) -> float:
    """The slope of the tails of random rows in the shipped background, for each of their phones."""
    log_probs, options = shipped_kinds().log_probs, KeywordOptions()
    slopes = []
    for n_phones in LENGTHS:
        scores = []
        for row in random_rows(log_probs, n_phones, N_ROWS):
            phones = [model.phones[i - 1] for i in row]
            longest = options.base_seconds + options.phone_seconds * n_phones
            wanted = PhoneRow(phones, model.phones, round(longest / model.frame_seconds))
            ratios, _ = Spotter(wanted).advance(log_probs, 0)
            n = len(ratios) // STRETCH
            scores.append(ratios[: n * STRETCH].reshape(n, STRETCH).max(axis=1))
        hours = len(log_probs) * model.frame_seconds / 3600
        slopes.append(pooled_slope(scores, hours) / n_phones)
    return float(np.mean(slopes))


def frames(model: NetworkModel, samples: np.ndarray, kept: Path | None = None
           ) -> Iterator[FrameBlock]:
    """The frames of a sound; kept in a file, where one is given."""
    if kept is None or not kept.exists():
        stream = FrameStream(model)
        with blas_threads(1):
            blocks = [*stream.accept(samples.astype(np.float32)), *stream.finish()]
        sizes = [len(block.log_probs) for block in blocks]
        log_probs = np.concatenate([block.log_probs for block in blocks])
        hidden = np.concatenate([block.hidden[:, -WIDTH:] for block in blocks]).astype(np.float16)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with open(kept.with_suffix(".part"), "wb") as file:
                np.savez(file, sizes=sizes, log_probs=log_probs, hidden=hidden)
            kept.with_suffix(".part").replace(kept)
    else:
        with np.load(kept) as read:
            sizes, log_probs, hidden = (read[name] for name in ("sizes", "log_probs", "hidden"))
    n_samples, first = len(log_probs) * HOP, 0
    padded = np.zeros(n_samples, np.float32)
    padded[: len(samples)] = samples[:n_samples]
    for size in sizes:
        here, end = slice(first, first + size), (first + size) * HOP
        yield FrameBlock(first, log_probs[here], hidden[here].astype(np.float32),
                         padded[first * HOP : end].reshape(-1, HOP),
                         samples[end : end + N_AHEAD].astype(np.float32))
        first += size


@lru_cache(600)
def _known(model: NetworkModel, sound: bytes, first: int) -> FrameBlock:
    return whole_frames(model, np.frombuffer(sound, np.float32), first)


def known_frames(model: NetworkModel, samples: np.ndarray, first: int = 0) -> FrameBlock:
    """What `whole_frames` gives, computed once for all detectors."""
    return _known(model, samples.tobytes(), first)


def run(detector: KeywordDetector, model: NetworkModel, blocks: list[FrameBlock]) -> list[float]:
    """Return the scores of all places where a keyword is found in the frames of a sound."""
    session = detector.session(model)
    found = [each for block in blocks for each in session.accept(block)]
    return [score_of(detector, each) for each in [*found, *session.finish()]]


def noises_of(data: Path) -> dict[str, np.ndarray]:
    """A minute or more of each noise."""
    rng = np.random.default_rng(0)
    speakers = [_level(read_samples(each.path)) for each in accented_english(data)[:600:10]]
    babble = np.zeros(60 * SAMPLE_RATE, np.float32)
    for _ in range(6):
        voice = np.concatenate([speakers[i] for i in rng.permutation(len(speakers))])
        babble += np.resize(voice, len(babble))
    clips = [_level(read_samples(path)) for path in sorted((data / "events").rglob("*.ogg"))]
    events = np.concatenate([clips[i] for i in rng.permutation(len(clips))])
    kitchen = read_samples(data / "coffee_commands" / "kitchen_noise.flac")
    return {"kitchen": kitchen, "babble": babble, "events": events}


def _level(samples: np.ndarray) -> np.ndarray:
    return samples / np.sqrt(np.square(samples).mean() + 1e-9) * np.float32(0.05)


def in_noise(samples: np.ndarray, noise: np.ndarray, name: str) -> np.ndarray:
    """Add a piece of noise that the name selects."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    while True:
        begin = int(rng.integers(0, len(noise)))
        piece = np.resize(np.roll(noise, -begin), len(samples))
        if piece.any():
            return add_noise(samples.astype(np.float32), piece, SNR)


def others(data: Path, noises: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Sound without the words: noise, then speech, some sentences at a time.

    Each sentence comes clean and in each of the noises, then once more in other pieces of them.
    """
    for name in ("kitchen", "events"):
        yield from np.array_split(noises[name], max(1, len(noises[name]) // (60 * SAMPLE_RATE)))
    taken = {file for each in kinds_of(data) for file in each}
    files = [each.path for each in accented_english(data)]
    files += sorted((data / "coffee_commands" / "clean").glob("*.flac"))
    files = [files[i] for i in np.random.default_rng(7).permutation(len(files))]
    files = [file for file in files if file not in taken]
    for turn in range(8):
        for number in range(0, len(files), 12):
            name = ["clean", *noises][(number // 12 + turn) % 4]
            if turn < 4 or name in noises:
                yield _joined(files[number : number + 12], noises.get(name), f"{number} {turn}")


def _joined(files: list[Path], noise: np.ndarray | None, name: str) -> np.ndarray:
    gap = np.zeros(SAMPLE_RATE // 2, np.float32)
    sound = np.concatenate([part for file in files for part in (read_samples(file), gap)])
    return sound if noise is None else in_noise(sound, noise, name)


def kinds_of(data: Path) -> list[list[Path]]:
    """The files of kinds.npz, about a quarter of an hour from each kind of speaker."""
    native = sorted((data / "native_english").rglob("*.ogg"))[::4][:N_NATIVE]
    orders = sorted((data / "coffee_commands" / "clean").glob("*.flac"))[::EACH]
    ages = dict(map(str.split, (data / "accented_english" / "spk2age").read_text().splitlines()))
    said = accented_english(data)
    readers = sorted({each.speaker for each in said if float(ages[each.speaker]) >= ADULT})[::EACH]
    return [native, orders, [each.path for each in said if each.speaker in readers]]


def background(model: NetworkModel, kinds: list[list[Path]], noises: dict[str, np.ndarray]
               ) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Log probabilities, vectors and ends of some kinds of files, clean and in each noise."""
    log_probs, hidden, ends = [], [], []
    for kind, files in enumerate(kinds):
        for number in range(0, len(files), 12):
            name = ["clean", *noises][number // 12 % 4]
            piece_name = f"{kind} {number}" if len(kinds) > 1 else str(number)
            sound = _joined(files[number : number + 12], noises.get(name), piece_name)
            for first in range(0, -(-len(sound) // HOP), NEW):  # as when computed once more
                begin = max(0, first - AGAIN + NEW + AHEAD)
                piece = sound[begin * HOP : (first + NEW + AHEAD) * HOP].astype(np.float32)
                block = whole_frames(model, piece)
                here = slice(first - begin, first - begin + NEW)
                log_probs.append(block.log_probs[here])
                hidden.append(block.hidden[here].astype(np.float16))
        ends.append(sum(map(len, log_probs)))
    return np.concatenate(log_probs), np.concatenate(hidden), ends


if __name__ == "__main__":
    main()
