"""The head of en-us-network: trained for three seeds, measured, and the best one written.

    pip install '.[train]'
    python tests/bench/train_head.py --output factored_asr/models/en_us_network

It takes accented_english (without the speakers that accented.py tunes on and holds out),
native_english (without the prompts ``arctic_b***7``), and sentences of books spoken by flite and
espeak-ng where these programs are installed; noises are the folds 1 to 3 of events and computed
ones. The encoder's states of all sounds and copies are kept below ``--work``, 4 GB. Phone errors
are those of the best output of each frame, without lexicon and language model, in per cent,
against the nearest pronunciations of the words.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from accented import HELD_OUT, TUNING
from common import SAMPLE_RATE, native_dictation, parser, read_samples, report

from factored_asr.acoustic.network import NetworkModel, read_encoder
from factored_asr.acoustic.network.head import BLANK, Head
from factored_asr.audio.mixing import mix
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, write_model
from factored_asr.models.recipe import Recipe
from factored_asr.training.ctc.make import Encoded
from factored_asr.training.ctc.network import (
    CtcOptions,
    phone_error_rate,
    train_head,
)
from factored_asr.training.ctc.states import CopyOptions, States, encode
from factored_asr.training.ctc.teacher import words_of
from factored_asr.training.ctc.variants import variants_of

SEEDS = (0, 1, 2)
OPTIONS = CtcOptions(passes=14, realign=(2, 8), bfloat16=True)
COPIES = 3, 3, 1, 0
"""Of native_english, accented_english, flite and espeak-ng."""
VOICES = {"slt": 260, "rms": 260, "awb": 260, "kal16": 80}
"""flite's voices, and how many sentences each speaks."""
ESPEAK = {f"en-us+{kind}": 12 for kind in (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Gene",
    "Lee", "Mario", "Michael", "Mike", "aunty")} | {
    "en-gb-x-rp": 20, "en-gb-scotland": 15, "en-gb-x-gbclan": 15, "en-029": 10}  # fmt: skip
"""The same of espeak-ng."""
EVERY, FEWEST, MOST = 397, 5, 14
"""Every 397th line of the books is drawn from, and of these the lines of so many words."""
DEV_PROMPT = re.compile(r"arctic_b\d\d\d7")
MEASURED_FOLD = "4"
DESCRIPTION = (
    "speechocean762 (OpenSLR 101, CC BY 4.0), the public voice data set by Kathleen (CC0), "
    "sentences of books spoken by flite and espeak-ng; noises of ESC-10 and computed ones"
)
ORIGIN = ("the heads: factored_asr, tests/bench/train_head.py and distil.py; the encoder: "
          "Moonshine tiny, moonshine-voice 0.0.49")  # fmt: skip
LICENCES = {"encoder": "MIT",
            "head": "Apache-2.0; speech: native_english (CC0), speechocean762 (CC BY 4.0)"}


def main() -> None:
    """Encode, train for each seed, measure, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--output", type=Path,
                           help="write the head with the fewest errors as a model here")
    arguments.add_argument("--jobs", type=int, default=2, help="processes that encode")
    options = arguments.parse_args()
    lexicon = Recipe(Bundle.find("en-us")).read_lexicon().strip_stress()
    phones = tuple(sorted({p for ways in lexicon.values() for way in ways for p in way.phones}))
    encoded, work = Encoded(read_encoder(), OPTIONS.encoder_layers), options.work / "train_head"
    limit = options.limit or None
    lines = sentences(options.data, lexicon)
    spoken = [spoken_by(lines, work, "flite", VOICES),
              spoken_by(lines[sum(VOICES.values()) :], work, "espeak-ng", ESPEAK)]
    parts = [usable(part, lexicon)[:limit] for part in (*training_sets(options.data), *spoken)]
    events = noises(options.data, measured=False)
    states: States | None = None
    for part, copies in zip(parts, COPIES, strict=True):
        if part:
            found = encode(part, encoded, work / "states", CopyOptions(copies), noises=events,
                           jobs=options.jobs, tick=lambda *n: print("encoded", *n, flush=True))
            states = found if states is None else states + found
    assert states is not None
    variants = [variants_of(each.words, lexicon, (BLANK, *phones)) for each in states.utterances]
    measured = {
        name: encode(chosen, encoded, work / "states", CopyOptions(0))
        for name, chosen in development_sets(options.data, work, lexicon, limit).items()
    }
    rows, heads = [], []
    for seed in SEEDS:
        began = time.process_time()
        chosen = replace(OPTIONS, seed=seed)
        heads.append(train_head(
            states, variants, phones, chosen, key=f"{chosen} {len(states)}",
            checkpoint=work / f"head-{seed}-{len(states)}.pt",
            report=lambda done: print(done, flush=True),
        ))
        seconds = time.process_time() - began
        rows.append([f"seed {seed}", *errors_of(heads[-1], measured, lexicon), f"{seconds:.0f}"])
    best = min(range(len(SEEDS)), key=lambda i: sum(map(float, rows[i][1:-1])))
    if options.output:
        write_model(options.output, NetworkModel(encoded.encoder, replace(
                        heads[best], description=DESCRIPTION, licence="Apache-2.0")),
                    about=About(ORIGIN, LICENCES, training=[{
                        "stage": "ctc", "passes": OPTIONS.passes, "seed": SEEDS[best],
                        "utterances": len(states)}]))  # fmt: skip
    report(options, "The head of en-us-network: greedy phone errors, per cent", rows,
           ["head", *measured, "CPU seconds of training"])  # fmt: skip


def training_sets(data: Path) -> Iterator[list[Utterance]]:
    """Yield the utterances of the two corpora that are trained on."""
    corpora = [Corpus.read(data / name) for name in ("native_english", "accented_english")]
    apart = {*HELD_OUT, *TUNING}
    for corpus in corpora:
        yield [each for each in corpus.utterances
               if each.speaker not in apart and not DEV_PROMPT.match(each.id)]  # fmt: skip


def development_sets(
    data: Path, work: Path, lexicon: Lexicon, limit: int | None
) -> dict[str, list[Utterance]]:
    """Return what is measured on: other prompts, other speakers, other texts, noise."""
    native, accented = (Corpus.read(data / f"{name}_english") for name in ("native", "accented"))
    dictation = [Utterance(each.name, "", tuple(each.text.split()), each.path)
                 for each in native_dictation(data)]
    sets = {
        "native_english, other prompts": [u for u in native.utterances if DEV_PROMPT.match(u.id)],
        "accented_english, other speakers": [u for u in accented.utterances if u.speaker in TUNING],
        "native_dictation": dictation, "the same at 6 dB": in_noise(dictation, data, work),
    }
    return {name: usable(part, lexicon)[:limit] for name, part in sets.items()}


def in_noise(utterances: Sequence[Utterance], data: Path, work: Path) -> list[Utterance]:
    """Write utterances mixed with noises that are not trained on, at 6 dB."""
    import soundfile

    events, mixed = noises(data, measured=True), []
    for number, each in enumerate(utterances):
        path, speech = work / "noisy" / f"{each.id}.wav", read_samples(each.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        event = events[number % len(events)]
        noise = np.tile(event, -(-len(speech) // len(event)))
        soundfile.write(path, mix(speech, noise, 6.0, each.id), SAMPLE_RATE)
        mixed.append(replace(each, path=path))
    return mixed


def noises(data: Path, measured: bool) -> list[np.ndarray]:
    """Read the events of fold 4, or of the other folds."""
    paths = sorted((data / "events").glob("*/*.ogg"))
    sounds = [read_samples(path) for path in paths if (path.name[0] == MEASURED_FOLD) == measured]
    return [sound for sound in sounds if np.any(sound)]


def usable(utterances: Sequence[Utterance], lexicon: Lexicon) -> list[Utterance]:
    """Return the utterances whose words, without marks, all have a pronunciation."""
    kept = []
    for each in utterances:
        words, why = words_of(each.text, lexicon)
        if words and not why:
            kept.append(replace(each, words=words))
    return kept


def sentences(data: Path, lexicon: Lexicon) -> list[list[str]]:
    """Return sentences of the books in a fixed random order."""
    lines = []
    with lzma.open(data / "text" / "books.txt.xz", "rt", encoding="utf-8") as books:
        for number, line in enumerate(books):
            words = line.split()
            if number % EVERY == 3 and FEWEST <= len(words) <= MOST and not lexicon.missing(words):
                lines.append(words)
    np.random.default_rng(5).shuffle(lines)
    return lines


def spoken_by(
    lines: Sequence[Sequence[str]], work: Path, program: str, voices: Mapping[str, int]
) -> list[Utterance]:
    """Let a program speak sentences in its voices; none where it is not installed."""
    if not shutil.which(program):
        print(f"{program} is not installed: trained without its voices")
        return []
    made, folder = list[Utterance](), work / program
    folder.mkdir(parents=True, exist_ok=True)
    for voice, count in voices.items():
        for _ in range(count):
            words = lines[len(made) % len(lines)]
            path = folder / f"{voice}-{len(made)}.wav"
            asked = (["-voice", voice, "-o", str(path), "-t"] if program == "flite"
                     else ["-v", voice, "-w", str(path), "-s", str(140 + 20 * (len(made) % 3)),
                           "-p", str(35 + 15 * (len(made) // 3 % 3))])  # fmt: skip
            if not path.exists():
                subprocess.run([program, *asked, " ".join(words)], check=True)
            made.append(Utterance(path.stem, voice, tuple(words), path))
    return made


def errors_of(
    head: Head, measured: Mapping[str, States], lexicon: Lexicon
) -> list[str]:
    """Return the phone errors of a head on each of the sets."""
    found = []
    for states in measured.values():
        variants = [variants_of(u.words, lexicon, head.phones) for u in states.utterances]
        found.append(f"{phone_error_rate(head, states, variants):.1f}")
    return found


if __name__ == "__main__":
    main()
