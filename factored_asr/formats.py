"""How a transcript is written out: a table of writers by name.

A writer takes a transcript and the name of its sound, and returns whole lines without the last
line end.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from factored_asr.errors import OptionError
from factored_asr.results import Transcript

Writer = Callable[[Transcript, str], str]


def as_text(transcript: Transcript, name: str) -> str:
    """The words alone; an empty line where nothing was said."""
    return transcript.text


def as_json(transcript: Transcript, name: str) -> str:
    """One JSON object on one line: `file`, then the fields of `Transcript.to_dict`."""
    return json.dumps({"file": name, **transcript.to_dict()}, ensure_ascii=False)


FORMATS: dict[str, Writer] = {"text": as_text, "json": as_json}
"""Every format by the name the command line knows it by."""


def write(transcript: Transcript, format_name: str, name: str = "") -> str:
    """Write a transcript in one of `FORMATS`.

    Examples
    --------
    >>> write(Transcript(reason="no speech"), "text")
    ''

    Raises
    ------
    OptionError
        There is no format of that name.
    """
    if format_name not in FORMATS:
        raise OptionError(f"format must be one of {', '.join(FORMATS)}, got '{format_name}'")
    return FORMATS[format_name](transcript, name)
