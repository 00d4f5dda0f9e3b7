"""Sound events: cross-validation on ESC-10, and the classifier that is shipped.

    python tests/bench/sound_events.py [--write sound_events] [--ship]

Each of folds 1 to 4 is classified by what the other three teach, clip by clip. With ``--ship`` a
classifier of all four folds, and of speech, pauses and kitchen noise as what is none of the
classes, takes the place of factored_asr/detectors/sound_events.npz.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from common import SAMPLE_RATE, parser, read_samples, report

from factored_asr.detectors import FrameStream
from factored_asr.detectors.classifier import fit
from factored_asr.detectors.events import (
    LEARNING,
    OTHER,
    PENALTY,
    SHIPPED,
    classes_of,
    stretches,
)
from factored_asr.models.bundle import Bundle

DESCRIPTION = (
    "ESC-10 folds 1-4 (K. J. Piczak, CC BY 3.0), the native_english voice (CC0), orders and "
    "kitchen noise of Picovoice's speech-to-intent benchmark (Apache-2.0)"
)

HISS = (None, -80.0, -70.0, -60.0, -50.0)
"""Decibels below full scale of what is heard in pauses; None: nothing."""
PAUSE_SECONDS = 2.5
"""Before and after a sentence, together."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--ship", action="store_true", help="also write the shipped classifier")
    given = options.parse_args()
    model = Bundle.find("en-us-network").acoustic_model()
    folder = given.data / "events"
    classes = classes_of(folder, folder.glob("*/*.ogg"))
    names = [name for name, _ in classes]
    clips = [(number, file) for number, (_, files) in enumerate(classes) for file in files]
    begun = time.process_time()

    def values_of(samples: np.ndarray) -> list[np.ndarray]:
        return stretches(FrameStream(model, LEARNING), samples)

    found = [values_of(read_samples(file)) for _, file in clips]
    labels = np.array([number for number, _ in clips])
    folds = np.array([int(file.name[0]) for _, file in clips])
    print(f"{time.process_time() - begun:.0f} s of CPU time for {len(clips)} clips of 5 s")
    rows, right = [], np.zeros(len(clips), bool)
    for fold in (1, 2, 3, 4):
        learnt, tested = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        made = fit(*examples([found[i] for i in learnt], labels[learnt]), penalty=PENALTY,
                   names=names)
        guesses = made.probabilities(np.array([found[i][0] for i in tested])).argmax(axis=1)
        right[tested] = guesses == labels[tested]
        rows.append((f"fold {fold}", len(tested), f"{100 * right[tested].mean():.1f} %"))
    rows.append(("all", len(clips), f"{100 * right.mean():.1f} %"))
    report(given, "Sound events: ESC-10, clips classified right, trained on the other folds", rows,
           ("fold", "clips", "right"))
    for number, name in enumerate(names):
        print(f"  {name:<15} {100 * right[labels == number].mean():5.1f} %")
    if given.ship:
        others = [values_of(sound) for sound in other_sounds(given.data)]
        made = fit(*examples([*found, *others], np.append(labels, [len(names)] * len(others))),
                   names=[*names, OTHER], penalty=PENALTY, description=DESCRIPTION)
        made.write(SHIPPED)
        print(f"written to {SHIPPED.relative_to(Path.cwd())}")


def examples(found: list[list[np.ndarray]], labels: np.ndarray
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return all stretches of clips, and their labels."""
    return (np.array([each for one in found for each in one]),
            np.repeat(labels, [len(one) for one in found]))


def other_sounds(data: Path) -> list[np.ndarray]:
    """Speech, speech with pauses around it, and a kitchen, in pieces of about 5 s."""
    speech = sorted((data / "native_english").rglob("*.ogg"))
    orders = sorted((data / "coffee_commands" / "clean").glob("*.flac"))
    kitchen = read_samples(data / "coffee_commands" / "kitchen_noise.flac")
    return [*map(read_samples, speech[::45]),
            *with_pauses([read_samples(file) for file in (*speech[7::45], *orders[::9])]),
            *np.array_split(kitchen, len(kitchen) // (5 * SAMPLE_RATE))]


def with_pauses(sounds: list[np.ndarray]) -> list[np.ndarray]:
    """Sounds with a pause before and one after, of more or less hiss.

    The clips of short events end in silence. So a pause alone must not tell an event from speech.
    """
    rng, made = np.random.default_rng(0), []
    for number, sound in enumerate(sounds):
        before = (0.5, 1.0, 2.0)[number % 3]
        around = [round(each * SAMPLE_RATE) for each in (before, PAUSE_SECONDS - before)]
        whole, level = np.pad(sound, around), HISS[number % len(HISS)]
        if level is not None:
            whole = whole + rng.normal(0, 10 ** (level / 20), len(whole))
        made.append(whole.astype(np.float32))
    return made


if __name__ == "__main__":
    main()
