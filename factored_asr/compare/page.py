"""Write a comparison as one self-contained HTML page: tables, plots, a browser of errors."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from factored_asr.compare.result import Comparison


def as_html(comparison: Comparison, title: str) -> str:
    """Return the page, which holds the comparison as JSON and scripts that draw it."""
    content: dict[str, Any] = {**comparison.to_dict(), "title": title}
    page = resources.files("factored_asr.compare").joinpath("page.html").read_text("utf-8")
    # A "<" could end the element that holds the data.
    data = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    safe = title.replace("&", "&amp;").replace("<", "&lt;")
    return page.replace("@TITLE@", safe).replace("@DATA@", data)
