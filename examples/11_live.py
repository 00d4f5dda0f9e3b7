"""Words as they are spoken: from a microphone, or from a file at its own pace.

The last words of an utterance may still change while one speaks; the line settles when the
utterance has ended, with its meaning or with the reason why it is no command.

    python examples/11_live.py
    python examples/11_live.py examples/audio/kitchen_light_on.wav
    python examples/11_live.py --dictation --fast letter.wav

The microphone needs sounddevice (pip install '.[listen]'); Ctrl-C ends it. `--fast` reads a file as
fast as it can be decoded.
"""

from __future__ import annotations

import argparse
import queue
import sys
import time
from collections.abc import Iterator

import numpy as np

from factored_asr import Recognizer, Transcript
from factored_asr.audio.reading import read_blocks

BLOCK_SECONDS = 0.1


def microphone(rate: int) -> Iterator[np.ndarray]:
    """Yield the samples of the default microphone in blocks, for ever."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        sys.exit(f"no microphone: {error}; install sounddevice, or name a file")
    blocks: queue.Queue[np.ndarray] = queue.Queue()

    def take(samples: np.ndarray, *_: object) -> None:
        blocks.put(samples[:, 0].copy())

    with sounddevice.InputStream(rate, int(rate * BLOCK_SECONDS), channels=1, callback=take):
        while True:
            yield blocks.get()


def paced(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Yield blocks at the pace at which they were spoken."""
    began, n_samples = time.monotonic(), 0
    for block in blocks:
        n_samples += len(block)
        time.sleep(max(0.0, began + n_samples / rate - time.monotonic()))
        yield block


def show(text: str, found: Transcript | None = None) -> None:
    """Write over the line; a final result keeps it."""
    terminal = sys.stdout.isatty()
    if found is None:
        if terminal:
            print(f"\r\x1b[2m{text[-70:]}\x1b[0m\x1b[K", end="", flush=True)
        return
    meaning = found.interpretation
    told = f"{meaning.intent} {dict(meaning.slots)}" if meaning else found.reason
    print("\r\x1b[K" * terminal + (found.text or "-") + (f"\t{told}" if told else ""), flush=True)


def main() -> None:
    """Recognise until the sound ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", help="a sound; none: the microphone")
    parser.add_argument("--grammar", default="lm/smart_home.yaml", help="commands of this grammar")
    parser.add_argument("--dictation", action="store_true", help="any English sentence")
    parser.add_argument("--fast", action="store_true", help="do not wait for a file's own pace")
    options = parser.parse_args()
    grammar = None if options.dictation else options.grammar
    recognizer = Recognizer.load("en-us", grammar=grammar)
    rate = recognizer.model.sample_rate
    if options.file is None:
        blocks = microphone(rate)
        print("Speak; Ctrl-C ends.", file=sys.stderr)
    else:
        blocks = read_blocks(options.file, sample_rate=rate, block_seconds=BLOCK_SECONDS)
        blocks = blocks if options.fast else paced(blocks, rate)
    stream = recognizer.stream()
    try:
        for block in blocks:
            if stream.accept(block):
                found = stream.finish()
                if found.reason != "no speech":
                    show("", found)
            else:
                show(stream.partial(early=True))
    except KeyboardInterrupt:
        pass
    if (found := stream.finish()) or found.reason != "no speech":
        show("", found)


if __name__ == "__main__":
    main()
