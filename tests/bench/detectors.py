"""All detectors at once: CPU time beyond the front end, and how late wake words are reported.

    python tests/bench/detectors.py [--write detectors] [--limit 12]

Orders and accented sentences in kitchen noise at 15 dB, with pauses of a second, are one sound. The
shared frames are computed alone, then with each detector, then with all four: "computer" and
"alexa", sound events, whispers, directedness by lm/smart_home.yaml. Late: from the end of a
recording's last phone to the sample that made the wake word known, in chunks of 10 ms, of some
recordings of "alexa", clean.
"""

from __future__ import annotations

import time

import numpy as np
from common import REPOSITORY, SAMPLE_RATE, accented_english, parser, read_samples, report
from wake_words import in_noise, recordings_of

from factored_asr import Recognizer
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.threads import blas_threads
from factored_asr.detectors import (
    Detector,
    DirectednessDetector,
    EventDetector,
    KeywordDetector,
    Listener,
    VoicingDetector,
)

TURNS = 2
"""Of measuring; the least time counts."""
CHUNK = SAMPLE_RATE // 100


def main() -> None:
    given = parser(__doc__).parse_args()
    recognizer = Recognizer.load("en-us-network", grammar=REPOSITORY / "lm" / "smart_home.yaml")
    model = recognizer.model
    assert isinstance(model, NetworkModel)
    detectors: dict[str, list[Detector]] = {
        "wake words": [KeywordDetector({"computer": ["K AH M P Y UW T ER"],
                                        "alexa": ["AH L EH K S AH"]})],
        "sound events": [EventDetector()], "whispers": [VoicingDetector()],
        "directedness": [DirectednessDetector(recognizer)],
    }
    sets = {"frames alone": [], **detectors,
            "all four": [each for listed in detectors.values() for each in listed]}
    n = given.limit or 24
    files = [each.path for each in accented_english(given.data)[::50]][: n // 2]
    files += sorted((given.data / "coffee_commands" / "clean").glob("*.flac"))[: n - n // 2]
    gap = np.zeros(SAMPLE_RATE, np.float32)
    sound = np.concatenate([part for file in files for part in (read_samples(file), gap)])
    kitchen = read_samples(given.data / "coffee_commands" / "kitchen_noise.flac")
    sound = in_noise(sound, kitchen, "detectors").astype(np.float32)
    seconds = len(sound) / SAMPLE_RATE
    least: dict[str, float] = {}
    counts: dict[str, int] = {}
    for turn in range(TURNS + 1):  # the first compiles and loads
        for name, each in sets.items():
            begin = time.process_time()
            listener = Listener(model, each)
            with blas_threads(1):
                counts[name] = len(listener.accept(sound)) + len(listener.finish())
            taken = (time.process_time() - begin) / seconds
            least[name] = min(least.get(name, np.inf), taken if turn else np.inf)
    alone = least["frames alone"]
    late = np.array(sorted(lateness(model, given.data)))
    rows = [(name, counts[name], f"{taken:.4f}", f"{max(taken - alone, 0.0):.4f}")
            for name, taken in least.items()]
    rows.append((f"wake word, {len(late)} recordings", "", f"median {np.median(late):.2f} s late",
                 f"at most {late[-1]:.2f} s"))
    report(given, f"All detectors on one stream of frames, {seconds:.0f} s of sound", rows,
           ("what listens", "detections", "CPU × real time", "beyond the frames"))


def lateness(model: NetworkModel, data: object) -> list[float]:
    """Seconds from the end of each keyword that is found to the sample that made it known."""
    found = []
    detector = KeywordDetector({"alexa": ["AH L EH K S AH"]})
    for file in recordings_of(data, "alexa")[3::16]:  # type: ignore[arg-type]
        quiet = np.zeros(SAMPLE_RATE, np.float32)
        sound = np.concatenate([quiet, read_samples(file), quiet])
        listener = Listener(model, [detector])
        for at in range(0, len(sound), CHUNK):
            if known := listener.accept(sound[at : at + CHUNK]):
                found.append((at + CHUNK) / SAMPLE_RATE - known[0].end)
                break
    return found


if __name__ == "__main__":
    main()
