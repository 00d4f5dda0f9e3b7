"""One interface for all systems: transcribe a whole sound, or stream it block by block.

Each system is set up for whole files as its makers advise. Ours and pocketsphinx take a grammar;
the texts of the others are read by the grammar's rules afterwards. Foreign packages are imported
when a system is opened, in its own process.
"""

from __future__ import annotations

import importlib
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from factored_asr.compare.systems import SystemSpec
from factored_asr.errors import FactoredASRError, MissingError, OptionError

SAMPLE_RATE = 16_000
"""Sample rate that every system gets, Hz."""
COMMAND_SECONDS = 600.0  # time limit of a command for one file


@dataclass(frozen=True)
class Result:
    """The answer of a system to one sound."""

    text: str
    understood: bool = False
    """True if the system returns the meaning itself."""
    intent: str = ""
    slots: Mapping[str, str] | None = None


class System(Protocol):
    """A loaded system."""

    files: tuple[Path, ...] = ()
    """Files and folders that it must be shipped with; empty: unknown."""

    def transcribe(self, samples: np.ndarray) -> Result:
        """Transcribe a whole sound, (n_samples,) float32."""

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str] | None:
        """Yield the text after each block, and the final text; return None if it cannot stream."""
        return None


def open_system(spec: SystemSpec, grammar: Path | None) -> System:
    """Load a system; raise MissingError without its package, program or model, and OptionError if
    it rejects the options."""
    kinds = (Ours, Pocketsphinx, Moonshine, Whisper, Vosk, Command)
    try:
        system: System = {kind.__name__.lower(): kind for kind in kinds}[spec.kind](spec, grammar)
    except (FactoredASRError, MemoryError):
        raise
    except Exception as error:  # whatever a foreign package raises about its options or models
        raise OptionError(f"{spec.name}: {type(error).__name__}: {error}") from error
    return system


def package(name: str, spec: SystemSpec, install: str) -> Any:
    """Import a foreign package; MissingError tells what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingError(f"{spec.name}: {error}; pip install {install}") from None


class Ours(System):
    """This library, with a grammar if there is one, else with a language model."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        from dataclasses import replace

        from factored_asr.models.bundle import Bundle
        from factored_asr.models.recipe import Recipe
        from factored_asr.recognizer.recognizer import Recognizer

        given = dict(spec.options)
        bundle = Bundle.find(given.get("model"))
        lm, lexicon = (Path(given[name]) if given.get(name) else None for name in ("lm", "lexicon"))
        guess = given.get("guess", "no") in ("yes", "true", "1")
        recipe = Recipe(bundle, grammar, lm, lexicon, guess=guess)
        beam = recipe.settings.beam
        beam = replace(beam, beam=float(given.get("beam", beam.beam)),
                       max_active=int(given.get("max_active", beam.max_active)))
        recipe = replace(recipe, options=replace(recipe.settings, beam=beam))
        self._recognizer = Recognizer.from_recipe(recipe)
        self.files = (bundle.acoustic, recipe.lexicon_path, recipe.language_path)

    def transcribe(self, samples: np.ndarray) -> Result:
        result = self._recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        meaning = result.interpretation
        if meaning is None:
            return Result(result.text, understood=True)
        slots = {name: str(value) for name, value in meaning.slots.items()}
        return Result(result.text, True, meaning.intent, slots)

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str]:
        stream = self._recognizer.stream()
        for block in blocks:
            stream.accept(block)
            yield stream.partial()
        yield stream.finish().text


class Pocketsphinx(System):
    """pocketsphinx with the models of its wheel; it takes its own options."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        from factored_asr.compare.jsgf import as_jsgf

        pocketsphinx = package("pocketsphinx", spec, "pocketsphinx==5.0.4")
        home = Path(pocketsphinx.get_model_path("en-us"))
        options: dict[str, Any] = {
            "hmm": str(home / "en-us"), "dict": str(home / "cmudict-en-us.dict"),
            "lm": str(home / "en-us.lm.bin"), **spec.options, **({"lm": None} if grammar else {}),
        }
        self._decoder = pocketsphinx.Decoder(**options, loglevel="FATAL")
        if grammar:
            self._decoder.add_jsgf_string("commands", as_jsgf(grammar).encode())
            self._decoder.activate_search("commands")
        names = options["hmm"], options["dict"], grammar or options["lm"]
        self.files = tuple(map(Path, names))

    def transcribe(self, samples: np.ndarray) -> Result:
        self._decoder.start_utt()
        self._decoder.process_raw(_pcm(samples), full_utt=True)
        self._decoder.end_utt()
        return Result(self._text())

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str]:
        self._decoder.start_utt()
        for block in blocks:
            self._decoder.process_raw(_pcm(block))
            yield self._text()
        self._decoder.end_utt()
        yield self._text()

    def _text(self) -> str:
        found = self._decoder.hyp()
        return found.hypstr if found is not None else ""


class Moonshine(System):
    """moonshine-voice with the end-to-end model tiny-en of its wheel, or another model's folder."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        voice = package("moonshine_voice", spec, "'factored-asr[compare]'")
        arch = spec.options.get("arch", "tiny").upper()
        folder = spec.options.get("model") or str(voice.get_model_path("tiny-en"))
        if not Path(folder).is_dir():
            raise MissingError(f"{spec.name}: {folder}: there is no such model")
        self._transcriber = voice.Transcriber(folder, voice.ModelArch[arch])
        self.files = (Path(folder),)

    def transcribe(self, samples: np.ndarray) -> Result:
        found = self._transcriber.transcribe_without_streaming(samples.tolist(), SAMPLE_RATE)
        return Result(_lines(found))

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str]:
        shown = ""

        def show(event: Any) -> None:
            nonlocal shown
            shown = event.line.text

        with self._transcriber.create_stream() as stream:
            stream.add_listener(show)
            stream.start()
            for block in blocks:
                stream.add_audio(block.tolist(), SAMPLE_RATE)
                yield shown
            yield _lines(stream.stop())


class Whisper(System):
    """openai-whisper, if it is installed."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        whisper = package("whisper", spec, "openai-whisper")
        package("torch", spec, "openai-whisper").set_num_threads(1)
        name = spec.options.get("model", "tiny.en")
        self._model = whisper.load_model(name, device="cpu")
        self._language = spec.options.get("language", "en")
        places = (Path(name), Path.home() / ".cache" / "whisper" / f"{name}.pt")
        self.files = tuple(place for place in places if place.is_file())[:1]

    def transcribe(self, samples: np.ndarray) -> Result:
        found = self._model.transcribe(samples, language=self._language, fp16=False)
        return Result(found["text"].strip())


class Vosk(System):
    """vosk with a model folder of the user."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        vosk = package("vosk", spec, "vosk")
        folder = spec.options.get("model", "")
        if not Path(folder).is_dir() or not folder:
            raise MissingError(f"{spec.name}: name a folder: vosk:model=DIR, got {folder!r}")
        vosk.SetLogLevel(-1)
        self._vosk, self._model = vosk, vosk.Model(folder)
        self.files = (Path(folder),)

    def transcribe(self, samples: np.ndarray) -> Result:
        *_, last = self.stream([samples])
        return Result(last)

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str]:
        recognizer = self._vosk.KaldiRecognizer(self._model, SAMPLE_RATE)
        ended: list[str] = []
        for block in blocks:
            partial = ""
            if recognizer.AcceptWaveform(_pcm(block)):
                ended.append(json.loads(recognizer.Result())["text"])
            else:
                partial = json.loads(recognizer.PartialResult())["partial"]
            yield " ".join(filter(None, [*ended, partial]))
        yield " ".join(filter(None, [*ended, json.loads(recognizer.FinalResult())["text"]]))


class Command(System):
    """Any program that prints a transcript; it is started for each file."""

    def __init__(self, spec: SystemSpec, grammar: Path | None):
        self._words = shlex.split(spec.command)
        if not self._words or shutil.which(self._words[0]) is None:
            raise MissingError(f"{spec.name}: there is no such program")

    def transcribe(self, samples: np.ndarray) -> Result:
        import soundfile

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sound.wav"
            soundfile.write(file, samples, SAMPLE_RATE, subtype="PCM_16")
            done = subprocess.run(
                [word.replace("{file}", str(file)) for word in self._words], check=False,
                capture_output=True, text=True, timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL,
            )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            raise OptionError(f"{self._words[0]} ended with {done.returncode}: {last}")
        return Result(" ".join(done.stdout.split()))


def _lines(transcript: Any) -> str:
    lines = transcript.lines if transcript else ()
    return " ".join(line.text.strip() for line in lines).strip()


def _pcm(samples: np.ndarray) -> bytes:
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
