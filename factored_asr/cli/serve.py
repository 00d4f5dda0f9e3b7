"""The command serve."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.errors import MissingError, OptionError

if TYPE_CHECKING:
    from factored_asr.models.recipe import Recipe
    from factored_asr.server import Engine, Mode, ServerOptions
    from factored_asr.server.metrics import Metrics
    from factored_asr.server.wake import WakeWords

EXAMPLES = """\
examples:
  factored-asr serve --grammar lm/smart_home.yaml
      commands; then open http://localhost:8000/ and talk
  factored-asr serve --grammar lm/house.yaml --dictation --wyoming-port 10300
      commands and dictation, also for Home Assistant
  factored-asr serve --dictation --commands lm/smart_home.yaml --after computer
      dictation in which "computer, turn on the light" is a command
  factored-asr serve --grammar lm/house.yaml --wake computer --wyoming-port 10300
      Home Assistant's satellites may ask for the wake word "computer"
  factored-asr serve --dictation --host :: --token "$TOKEN" --workers 4
      for other machines: four processes, with a token
"""
DICTATION = "dictation"


def serve(options: argparse.Namespace) -> int:
    """Serve existing clients: OpenAI's HTTP (/v1/audio/transcriptions), Vosk's WebSocket, Wyoming
    (Home Assistant), and a web page. It listens once the graphs are ready, for this machine alone
    unless --host says otherwise, and stops at SIGTERM after what runs has finished."""
    try:
        from factored_asr.server.supervisor import serve as run
    except ImportError as error:
        raise MissingError(f"the server needs {error.name}: pip install "
                           "'factored-asr[server]'") from None

    with ExitStack() as stack:
        tell = shared.progress(stack, options.quiet)

        def make(metrics: Metrics) -> Engine:
            return _engine(options, server, metrics, tell)

        server = _server_options(options)
        return run(make, server, shared.say)


def _engine(options: argparse.Namespace, server: ServerOptions, metrics: Metrics,
            tell: Any) -> Engine:
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.server import Engine, Mode

    modes: list[Mode] = []
    lists, taken = shared.lists_of(options), set[str]()
    for name, grammar in _sources(options).items():
        recognizer = Recognizer.from_recipe(_recipe_of(options, grammar), tell)
        own = {each: lists[each] for each in lists if each in recognizer.list_names}
        taken |= own.keys()
        modes.append(Mode.of(name, recognizer.with_lists(own) if own else recognizer))
    if unknown := sorted(lists.keys() - taken):
        raise OptionError(f"--list {unknown[0]}: no grammar here has a list of this name that is "
                          '"replaceable: true"')
    return Engine(modes, server, metrics, _wake_words(options, modes))


def _wake_words(options: argparse.Namespace, modes: list[Mode]) -> WakeWords | None:
    """Return what --wake asks for; the model of the server finds it if that is a network."""
    if not options.wake:
        return None
    from factored_asr.acoustic.network import NetworkModel
    from factored_asr.detectors import KeywordDetector
    from factored_asr.detectors.keywords import pronunciations_of
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.server.wake import WakeWords

    bundle = Bundle.find("en-us-network")
    model: Any = modes[0].pipeline.model
    if not isinstance(model, NetworkModel):
        model = bundle.acoustic_model()
    words = Path(options.words) if options.words else None
    recipe = Recipe(bundle, words=words, guess=True)
    return WakeWords(model, KeywordDetector(pronunciations_of(options.wake, recipe)))


def _recipe_of(options: argparse.Namespace, grammar: str | None) -> Recipe:
    """Return the recipe of one grammar, or of dictation, as `transcribe` would make it."""
    own = {"grammar": grammar, "lm": None if grammar else options.lm, "list": [],
           "commands": [] if grammar else options.commands}
    return shared.recipe_of(argparse.Namespace(**{**vars(options), **own}))


def _sources(options: argparse.Namespace) -> dict[str, str | None]:
    """Return what is served: the name of each model and its grammar; of dictation None."""
    found: dict[str, str | None] = {}
    for path in options.grammar:
        name = Path(path).stem
        if name in found or name == DICTATION:
            raise OptionError(f"--grammar {path}: another model is named {name!r}, too")
        found[name] = path
    for name in ("lm", "commands"):
        if getattr(options, name) and not options.dictation and found:
            raise OptionError(f"--{name} is for dictation: give --dictation, too")
    if options.dictation or not found:
        found[DICTATION] = None
    return found


def _server_options(options: argparse.Namespace) -> ServerOptions:
    from factored_asr.server import Limits, ServerOptions

    default = Limits()
    limits = Limits(
        sessions=options.max_sessions or default.sessions,
        stream_seconds=options.max_stream or default.stream_seconds,
        idle_seconds=options.idle or default.idle_seconds,
        upload_bytes=round(options.max_upload * 2**20) or default.upload_bytes,
        drain_seconds=options.drain or default.drain_seconds,
    )
    socket = None if options.wyoming_socket is None else Path(options.wyoming_socket)
    return ServerOptions(
        options.host, options.port, options.wyoming_port, socket, _token(options),
        tuple(options.origin), options.workers, options.threads, limits,
    )


def _token(options: argparse.Namespace) -> str:
    if options.token and options.token_file:
        raise OptionError("give --token or --token-file, not both")
    if not options.token_file:
        return str(options.token or "")
    from factored_asr.storage.reading import read_text

    token = read_text(options.token_file).strip()
    if not token:
        raise OptionError(f"{options.token_file} holds no token")
    return token


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = shared.add_command(
        commands, "serve", serve, "a server for OpenAI's, Vosk's and Home Assistant's clients",
        shared.factor_options(), shared.search_options(), examples=EXAMPLES,
    )
    group = parser.add_argument_group("what is recognised")
    group.add_argument("--grammar", action="append", default=[], metavar="PATH", help="commands: a "
                       "grammar file or folder; may be repeated. Clients choose by the name of the "
                       "file; the first is the default")
    group.add_argument("--dictation", action="store_true",
                       help="dictation as well (default without --grammar)")
    group.add_argument("--lm", metavar="ARPA", help="n-gram model of dictation in place of the "
                       "model's own")
    shared.add_commands(group)
    shared.add_list(group)
    group.add_argument("--wake", metavar="PHRASE", action="append", default=[], help="a wake word "
                       "that clients of Wyoming may listen for; may be repeated")
    group.add_argument("--denials", action="store_true", default=None, help="accept courtesies "
                       'such as "please" before a command, too')
    group.add_argument("--no-denials", action="store_false", dest="denials",
                       help="do not recognise denied commands")
    group.add_argument("--prefix", metavar="WORDS", action="append", default=[],
                       help="accept these words before a command; may be repeated")
    _add_addresses(parser.add_argument_group("addresses and access"))
    _add_limits(parser.add_argument_group("processes and limits"))


def _add_addresses(group: Any) -> None:
    group.add_argument("--host", default="localhost", help="address to listen on (default: "
                       "localhost, this machine alone)")
    group.add_argument("--port", type=int, default=8000,
                       help="of HTTP and WebSocket; 0: any free one (default: 8000)")
    group.add_argument("--wyoming-port", type=int, metavar="PORT",
                       help="also speak Wyoming here, as to Home Assistant (usual: 10300)")
    group.add_argument("--wyoming-socket", metavar="PATH", help="also speak Wyoming on this Unix "
                       "socket")
    group.add_argument("--token", metavar="TOKEN", help="ask HTTP and WebSocket clients for it "
                       "(others can see it in the list of processes: better --token-file)")
    group.add_argument("--token-file", metavar="PATH", help="ask for the token in this file")
    group.add_argument("--origin", action="append", default=[], metavar="URL", help="let web pages "
                       "of this address use the server; may be repeated")


def _add_limits(group: Any) -> None:
    group.add_argument("--workers", type=int, default=1, metavar="N", help="processes; they share "
                       "models and graphs (default: 1)")
    group.add_argument("--threads", type=int, default=0, metavar="N", help="decoding threads of "
                       "each (default: its share of the cores)")
    group.add_argument("--max-sessions", type=int, default=0, metavar="N",
                       help="streams and requests at once (default: 200)")
    group.add_argument("--max-stream", type=float, default=0, metavar="SECONDS",
                       help="of one stream (default: 3600)")
    group.add_argument("--idle", type=float, default=0, metavar="SECONDS",
                       help="close streams without a message for so long (default: 60)")
    group.add_argument("--max-upload", type=float, default=0, metavar="MB",
                       help="of one request (default: 200)")
    group.add_argument("--drain", type=float, default=0, metavar="SECONDS", help="after SIGTERM, "
                       "until streams that still run are closed (default: 10); the process ends "
                       "at most 3 s later")
