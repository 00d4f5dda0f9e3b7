"""A server for existing clients: OpenAI's HTTP, Vosk's WebSocket, Wyoming, and a web page.

    sound → guard (token, size, origin) → one engine: limits, decoding threads, shared models
          → front: openai, vosk, wyoming, own → answer

`supervisor.serve` loads the models and forks workers; `worker` is the event loop of one of them.
"""

from factored_asr.server.engine import Engine
from factored_asr.server.modes import Mode
from factored_asr.server.options import Limits, RefusedError, ServerOptions

__all__ = ["Engine", "Limits", "Mode", "RefusedError", "ServerOptions"]
