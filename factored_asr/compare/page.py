"""A comparison as one page of HTML that needs nothing else: tables, plots, a browser of errors."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from factored_asr.compare.result import Comparison

TITLE, DATA = "@TITLE@", "@DATA@"  # what the page's template has in their place


def as_html(comparison: Comparison, title: str) -> str:
    """The whole page; scripts draw it from the JSON of the comparison that it holds."""
    content: dict[str, Any] = {**comparison.to_dict(), "title": title}
    page = resources.files("factored_asr.compare").joinpath("page.html").read_text("utf-8")
    # A "<" could end the element that holds the data; in JSON it may be written otherwise.
    data = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    safe = title.replace("&", "&amp;").replace("<", "&lt;")
    return page.replace(TITLE, safe).replace(DATA, data)
