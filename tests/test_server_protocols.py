"""Words and meanings through every protocol are those of the library on the same samples."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from support.server import GRAMMAR, Server, as_form, running, send, vosk, wav_bytes

from factored_asr import Recognizer
from factored_asr.audio.reading import read_audio, read_blocks
from factored_asr.lattice import SecondPassOptions
from factored_asr.results.formats import write
from factored_asr.server.options import BLOCK_SECONDS

SOUNDS = ("kitchen_light_on", "music_stop", "timer_ten_minutes", "heating_twenty_one", "silence")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    house = str(Path(GRAMMAR).with_name("house.yaml"))
    wake = ("--wake", "music", "--wake", "hey house")
    with running("--wyoming-port", "0", "--grammar", GRAMMAR, *wake, grammar=house) as found:
        yield found


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    rich = SecondPassOptions(keep=True, confidences=True)
    return Recognizer.load("en-us", grammar=GRAMMAR, second_pass=rich)


def pcm(path: Path, rate: int = 16000) -> bytes:
    samples = read_audio(path, sample_rate=rate)[0]
    return (samples * 32767).round().astype("<i2").tobytes()


# --- OpenAI ------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("name", SOUNDS)
def test_openai_transcribes_as_the_library(client: Any, recognizer: Recognizer, audio_dir: Path,
                                           name: str) -> None:
    path = audio_dir / f"{name}.wav"
    said = recognizer.transcribe(path)
    with path.open("rb") as file:
        found = client.audio.transcriptions.create(
            model="smart_home", file=file, response_format="verbose_json", language="en",
            timestamp_granularities=["word", "segment"], prompt="lights")
    assert found.text == said.text
    assert [(w.word, w.start, w.end) for w in found.words] == [
        (w.text, round(w.start, 3), round(w.end, 3)) for w in said.words]
    assert " ".join(segment.text for segment in found.segments) == said.text
    assert found.duration == pytest.approx(said.duration, abs=1e-3)


@pytest.mark.parametrize("format_name", ["json", "text", "srt", "vtt"])
def test_openai_formats(client: Any, recognizer: Recognizer, audio_dir: Path,
                        format_name: str) -> None:
    path = audio_dir / "kitchen_light_on.wav"
    found = client.audio.transcriptions.create(model="smart_home", file=path,
                                               response_format=format_name)
    said = recognizer.transcribe(path)
    if format_name == "json":
        assert found.text == said.text
    else:
        assert found == write(said, format_name) + "\n"


def test_openai_streams_events(client: Any, audio_dir: Path) -> None:
    events = list(client.audio.transcriptions.create(
        model="smart_home", file=audio_dir / "music_stop.wav", stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[1].text == "stop the music"


def test_openai_cuts_long_uploads(client: Any, audio_dir: Path) -> None:
    """A recording of over a minute comes in parts, as soon as they are done."""
    music, light = (read_audio(audio_dir / f"{name}.wav", sample_rate=16000)[0]
                    for name in ("music_stop", "kitchen_light_on"))
    hush = np.random.default_rng(1).normal(0, 1e-4, 32 * 16000).astype(np.float32)
    file = wav_bytes(np.concatenate([music, hush, light, hush, music]))
    events = list(client.audio.transcriptions.create(
        model="smart_home", file=("long.wav", file), stream=True))
    texts = ["stop the music", "turn on the kitchen light", "stop the music"]
    assert [event.delta.strip() for event in events[:-1]] == texts
    assert events[-1].text == " ".join(texts)


def test_openai_lists_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["smart_home", "house"]
    assert client.models.retrieve("smart_home").object == "model"


@pytest.mark.parametrize(("change", "param", "says"), [
    ({"model": "whisper-9"}, "model", "there are smart_home"),
    ({"response_format": "docx"}, "response_format", "must be one of json"),
    ({"language": "fr"}, "language", "must be en"),
    ({"timestamp_granularities": ["phone"]}, "timestamp_granularities", "segment, word"),
    ({"file": ("../../etc/passwd", b"no sound at all")}, None, "begins with"),
    ({"file": ("empty.wav", b"")}, None, "empty"),
])
def test_openai_errors_are_openais(client: Any, audio_dir: Path, change: dict[str, Any],
                                   param: str | None, says: str) -> None:
    import openai

    given = {"model": "smart_home", "file": audio_dir / "music_stop.wav"} | change
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        client.audio.transcriptions.create(**given)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == param


def test_a_form_without_a_file(server: Server) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nsmart_home\r\n--x--\r\n'
    status, text = post(server, "/v1/audio/transcriptions", body, "multipart/form-data; boundary=x")
    assert status == 400 and "no field 'file'" in json.loads(text)["error"]["message"]
    status, text = post(server, "/v1/audio/transcriptions", b"--y broken",
                        "multipart/form-data; boundary=x")
    assert status == 400
    status, text = post(server, "/v1/audio/transcriptions", b"hello", "text/plain")
    assert status == 415


def post(server: Server, path: str, body: bytes, kind: str = "application/json",
         **headers: str) -> tuple[int, str]:
    return send(urllib.request.Request(server.url + path, data=body,
                                       headers={"Content-Type": kind, **headers}))


# --- Vosk --------------------------------------------------------------------


def streamed(recognizer: Recognizer, data: bytes, rate: int) -> list[Any]:
    """The library's results of a stream in the server's blocks."""
    samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    stream, found = recognizer.stream(), []
    for block in read_blocks(samples, array_rate=rate, sample_rate=16000,
                             block_seconds=BLOCK_SECONDS):
        if stream.accept(block):
            found.append(stream.finish())
    return [*found, stream.finish()]


@pytest.fixture(scope="module")
def talk(recognizer: Recognizer, audio_dir: Path) -> tuple[bytes, list[Any]]:
    """Some sentences with pauses, and what the library makes of them."""
    hush = np.random.default_rng(2).normal(0, 3, 24000).astype("<i2").tobytes()
    data = b"".join(pcm(audio_dir / f"{name}.wav") + hush for name in SOUNDS[:3])
    return data, [each for each in streamed(recognizer, data, 16000) if each.words]


@pytest.mark.parametrize("chunk", [3200, 1001, 64000])
def test_vosk_words_are_the_librarys(server: Server, talk: tuple[bytes, list[Any]],
                                     chunk: int) -> None:
    data, said = talk
    answers = vosk(server, data, chunk, {"sample_rate": 16000, "words": True})
    found = [answer for answer in answers if answer.get("text")]
    assert " ".join(answer["text"] for answer in found) == " ".join(each.text for each in said)
    words = [word for answer in found for word in answer["result"]]
    assert [w["conf"] for w in words] == [round(w.confidence, 4) for e in said for w in e.words]
    starts = [word["start"] for word in words]
    assert starts == sorted(starts) and starts[-1] > 5.0  # from the start of the stream
    assert any(answer.get("partial") for answer in answers) or chunk == 64000


@pytest.mark.parametrize("rate", [8000, 44100])
def test_vosk_resamples(server: Server, recognizer: Recognizer, audio_dir: Path,
                        rate: int) -> None:
    data = pcm(audio_dir / "kitchen_light_on.wav", rate)
    said = streamed(recognizer, data, rate)[-1]
    answers = vosk(server, data, 3000, {"sample_rate": rate, "words": True})
    assert answers[-1]["text"] == said.text == "turn on the kitchen light"
    assert answers[-1]["result"][0]["start"] == round(said.words[0].start, 3)


def test_vosk_without_config(server: Server, audio_dir: Path) -> None:
    answers = vosk(server, pcm(audio_dir / "music_stop.wav"), 8000)
    assert answers[-1] == {"text": "stop the music"}


def test_vosk_phrase_list(server: Server, audio_dir: Path) -> None:
    """Phrases become the grammar of one connection; what is none of them is rejected."""
    config = {"phrase_list": ["stop", "the music", "the kitchen", "[unk]"], "sample_rate": 16000}
    assert vosk(server, pcm(audio_dir / "music_stop.wav"), 8000, config)[-1]["text"] == (
        "stop the music")
    assert vosk(server, pcm(audio_dir / "weather.wav"), 8000, config)[-1]["text"] == ""
    again = json.dumps(config["phrase_list"])  # a string of JSON, as some clients send it
    answers = vosk(server, pcm(audio_dir / "music_stop.wav"), 8000, {"phrase_list": again})
    assert answers[-1]["text"] == "stop the music"


def test_vosk_alternatives_and_details(server: Server, audio_dir: Path) -> None:
    data = pcm(audio_dir / "music_stop.wav")
    answer = vosk(server, data, 8000, {"max_alternatives": 3, "words": True})[-1]
    assert answer["alternatives"][0]["text"] == "stop the music"
    assert answer["alternatives"][0]["result"][0]["word"] == "stop"
    scores = [each["confidence"] for each in answer["alternatives"]]
    assert scores == sorted(scores, reverse=True)
    answer = vosk(server, data, 8000, {"details": True})[-1]
    assert answer["interpretation"]["intent"] and answer["reason"] == ""
    answer = vosk(server, pcm(audio_dir / "silence.wav"), 8000, {"details": True})[-1]
    assert answer == {"text": "", "reason": "no speech", "confidence": None,
                      "interpretation": None}


def test_vosk_reset_ends_the_utterance(server: Server, audio_dir: Path) -> None:
    from websockets.sync.client import connect

    with connect(server.websocket) as socket:
        for _ in range(2):
            socket.send(pcm(audio_dir / "music_stop.wav"))
            socket.recv(timeout=60)
            socket.send('{"reset" : 1}')
            assert json.loads(socket.recv(timeout=60)) == {"text": "stop the music"}


@pytest.mark.parametrize(("message", "says"), [
    ("hello", "must be JSON"), ('{"what": 1}', "config, eof or reset"), ("[" * 5000, "JSON"),
    ('{"config": {"sample_rate": "x"}}', "config"), ('{"config": {"sample_rate": 1}}', "4000"),
    ('{"config": {"sample_rate": 1e400}}', "config"), ('{"config": []}', "config"),
    ('{"config": {"phrase_list": 7}}', "list of strings"),
    ('{"config": {"phrase_list": ["qqxzv"]}}', "qqxzv"),
    ('{"config": {"phrase_list": ["<a> {b}"]}}', "no word"),
    (json.dumps({"config": {"phrase_list": ["yes"] * 2000}}), "1000"),
    ('{"config": {"model": "large"}}', "there are smart_home"),
    ('{"config": {"max_alternatives": 99}}', "max_alternatives"),
])
def test_vosk_says_what_is_wrong(server: Server, message: str, says: str) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(server.websocket) as socket:
        socket.send(message)
        assert says in json.loads(socket.recv(timeout=60))["error"]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 1008


# --- meanings and explanations ----------------------------------------------


def test_understand_reads_text(server: Server) -> None:
    body = json.dumps({"text": "don't turn on the kitchen light", "model": "smart_home"})
    status, text = post(server, "/v1/understand", body.encode())
    found = json.loads(text)
    assert status == 200 and found["intent"] is None
    assert found["acts"][0]["act"] == "deny" and found["acts"][0]["slots"]["room"] == "kitchen"
    body = json.dumps({"text": "turn on the kitchen light"})
    found = json.loads(post(server, "/v1/understand", body.encode())[1])
    assert found["intent"] == "TurnOn"
    assert str(Path(GRAMMAR).parent) not in str(found)  # no places of the server's disk


def test_understand_hears(server: Server, recognizer: Recognizer, audio_dir: Path) -> None:
    path = audio_dir / "kitchen_light_on.wav"
    said = recognizer.transcribe(path)
    status, text = post(server, "/v1/understand", *as_form({}, path.read_bytes()))
    found = json.loads(text)
    assert status == 200 and found["text"] == said.text
    assert found["words"] == json.loads(said.to_json())["words"]
    assert said.interpretation is not None
    assert (found["intent"], found["slots"]) == (said.interpretation.intent,
                                                 dict(said.interpretation.slots))


@pytest.mark.parametrize(("body", "says"), [
    (b"{", "no JSON"), (b"[1]", "JSON object"), (b'{"x": 1}', "'text'"), (b'{"text": [1]}', "text"),
    (b'{"text": "on", "model": "x"}', "there are smart_home"),
    (b'{"text": "on", "context": 5}', "context"), (b'{"text": "%s"}' % (b"on " * 1000), "2000"),
    (b"[" * 60000, "no JSON"),
])
def test_understand_says_what_is_wrong(server: Server, body: bytes, says: str) -> None:
    status, text = post(server, "/v1/understand", body)
    assert status == 400 and says in json.loads(text)["error"]["message"]


def test_explain_is_the_librarys(server: Server, recognizer: Recognizer, audio_dir: Path) -> None:
    from factored_asr.explain import ExplainOptions

    path = audio_dir / "music_stop.wav"
    said = recognizer.explain(path, options=ExplainOptions(without=()))
    status, text = post(server, "/v1/explain", *as_form({}, path.read_bytes()))
    found = json.loads(text)
    assert status == 200
    assert found["text"] == said.text == "stop the music"
    assert [each["start"] for each in found["parts"]] == [
        each["start"] for each in json.loads(said.to_json())["parts"]]
    assert found["cost"] == pytest.approx(said.cost, rel=1e-5)
    status, page = post(server, "/v1/explain", *as_form({"format": "html"}, path.read_bytes()))
    assert status == 200 and "<title>Why" in page and str(Path(GRAMMAR).parent) not in page
    status, text = post(server, "/v1/explain", *as_form({"without": "everything"}, b"RIFF"))
    assert status == 400 and "without takes names" in text


# --- Wyoming -----------------------------------------------------------------


def wyoming(server: Server, *events: Any, n_answers: int = 1) -> list[Any]:
    """Send events by the client of the wyoming package; return the answers."""
    from wyoming.client import AsyncClient

    async def talk() -> list[Any]:
        async with AsyncClient.from_uri(server.wyoming) as client:
            for event in events:
                await client.write_event(event.event())
            return [await asyncio.wait_for(client.read_event(), 120) for _ in range(n_answers)]

    return asyncio.run(talk())


def sound_events(data: bytes, rate: int = 16000, channels: int = 1, **asked: Any) -> list[Any]:
    from wyoming.asr import Transcribe
    from wyoming.audio import AudioChunk, AudioStart, AudioStop

    chunks = [AudioChunk(rate, 2, channels, data[i : i + 2048]) for i in range(0, len(data), 2048)]
    return [Transcribe(**asked), AudioStart(rate, 2, channels), *chunks, AudioStop()]


@pytest.mark.parametrize("name", SOUNDS)
def test_wyoming_words_are_the_librarys(server: Server, recognizer: Recognizer, audio_dir: Path,
                                        name: str) -> None:
    data = pcm(audio_dir / f"{name}.wav")
    said = " ".join(filter(None, (each.text for each in streamed(recognizer, data, 16000))))
    answers = wyoming(server, *sound_events(data, name="smart_home", language="en"), n_answers=4)
    assert [answer.type for answer in answers] == [
        "transcript-start", "transcript-chunk", "transcript", "transcript-stop"]
    assert answers[1].data["text"] == answers[2].data["text"] == said


def test_wyoming_stereo_and_other_rates(server: Server, audio_dir: Path) -> None:
    samples = np.frombuffer(pcm(audio_dir / "music_stop.wav", 48000), "<i2")
    stereo = np.column_stack([samples, samples]).tobytes()
    answers = wyoming(server, *sound_events(stereo, 48000, 2), n_answers=4)
    assert answers[2].data["text"] == "stop the music"


def test_wyoming_describes_itself(server: Server) -> None:
    from wyoming.info import Describe, Info
    from wyoming.ping import Ping, Pong

    described, pong = wyoming(server, Describe(), Ping("here"), n_answers=2)
    found = Info.from_event(described)
    assert [model.name for model in found.asr[0].models] == ["smart_home", "house"]
    assert found.asr[0].supports_transcript_streaming and found.asr[0].models[0].languages == ["en"]
    assert [model.name for model in found.intent[0].models] == ["smart_home", "house"]
    assert [model.name for model in found.handle[0].models] == ["house"]
    assert [model.phrase for model in found.wake[0].models] == ["music", "hey house"]
    assert Pong.from_event(pong).text == "here"


def test_wyoming_intents(server: Server) -> None:
    from wyoming.intent import Intent, Recognize

    (answer,) = wyoming(server, Recognize("set the heating to twenty one degrees"))
    found = Intent.from_event(answer)
    assert found.name == "SetTemperature"
    assert {each.name: each.value for each in found.entities} == {"degrees": 21}
    for text in ("good night and good luck", "don't turn on the kitchen light"):
        assert wyoming(server, Recognize(text))[0].type == "not-recognized"


def test_wyoming_conversations(server: Server) -> None:
    """A grammar with a world is a partner with a memory, one for each conversation."""
    from wyoming.asr import Transcript

    def say(text: str, name: str) -> Any:
        return wyoming(server, Transcript(text, context={"conversation_id": name}))[0]

    assert say("turn on the kitchen light", "a").data["text"] == "on kitchen light"
    assert say("turn it off", "b").data["text"] != "off kitchen light"
    assert say("what a lovely day", "b").type == "not-handled"
    answer = say("turn it off", "a")
    assert answer.type == "handled" and answer.data["text"] == "off kitchen light"
    assert answer.data["context"] == {"conversation_id": "a"}


@pytest.mark.parametrize("name, asked, found", [
    ("music_stop", ["music"], "music"), ("music_stop", None, "music"),
    ("music_stop", ["hey house"], None), ("kitchen_light_on", None, None),
])
def test_wyoming_wake_words(server: Server, audio_dir: Path, name: str, asked: list[str] | None,
                            found: str | None) -> None:
    from wyoming.wake import Detect, Detection

    audio = sound_events(pcm(audio_dir / f"{name}.wav"))[1:]
    answer = wyoming(server, Detect(asked), *audio)[0]
    if found is None:
        assert answer.type == "not-detected"
    else:
        detection = Detection.from_event(answer)
        assert detection.name == found and 500 < (detection.timestamp or 0) < 2500  # ms
    heard = wyoming(server, Detect(asked), *sound_events(pcm(audio_dir / "music_stop.wav")),
                    n_answers=3)
    assert heard[-1].data["text"] == "stop the music"  # the last event asked for says what is done


@pytest.mark.parametrize("line", [
    b"no json\n", b"[]\n", b'{"type": 5}\n', b'{"type": "x", "payload_length": 99999999999}\n',
    b'{"type": "x", "data_length": -4}\n', b'{"type": "audio-start", "data": {"width": 3}}\n',
    b'{"type": "audio-stop"}\n', b"x" * 70000 + b"\n", b'{"type": "x", "data_length": "9"}\n',
    b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 0}}\n',
    b'{"type": "detect", "data": {"names": ["alexa"]}}\n{"type": "audio-start", "data": '
    b'{"rate": 16000, "width": 2, "channels": 1}}\n',
    b'{"type": "transcribe", "data": {"name": "big"}}\n{"type": "audio-start", "data": '
    b'{"rate": 16000, "width": 2, "channels": 1}}\n',
])
def test_wyoming_says_what_is_wrong(server: Server, line: bytes) -> None:
    import socket

    host, port = server.wyoming.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(line)
        with connection.makefile("rb") as file:
            head = json.loads(file.readline())
            assert head["type"] == "error"
            assert json.loads(file.read(head["data_length"]))["text"]
            assert file.read(1) == b""  # closed
