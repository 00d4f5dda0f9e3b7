"""Figures to draw on, and files to write them to.

matplotlib is an extra (``pip install 'factored-asr[plot]'``) and is imported when first needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.errors import MissingError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save(ax: Axes, path: str | Path) -> None:
    """Write the figure of some axes, in the format of the file's suffix.

    OptionError: the file cannot be written, or the format is unknown.
    """
    try:
        ax.figure.savefig(path, dpi=120)  # type: ignore[union-attr]
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be written: {error}") from error


def new_axes(width: float, height: float) -> Any:
    """Return axes in a new figure (inches), without a window or pyplot's global list."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingError("plots need matplotlib: pip install 'factored-asr[plot]'") from None
    return Figure((width, height), layout="constrained").add_subplot()
