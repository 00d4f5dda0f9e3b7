"""Figures to draw on, and files to write them to.

matplotlib is an extra (``pip install 'factored-asr[plot]'``) and is imported when first needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.errors import MissingError, OptionError
from factored_asr.storage.scratch import process_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save(ax: Axes, path: str | Path) -> None:
    """Write the figure of some axes, in the format of the file's suffix.

    OptionError: the file cannot be written, or the format is unknown.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "empty.svg"
    >>> save(new_axes(2.0, 1.0), file)
    >>> file.stat().st_size > 500
    True
    """
    try:
        ax.figure.savefig(path, dpi=120)  # type: ignore[union-attr]
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be written: {error}") from error


def new_axes(width: float, height: float) -> Any:
    """Return axes in a new figure (inches), without a window or pyplot's global list.

    OptionError: matplotlib's settings and list of fonts have no place.

    Examples
    --------
    >>> ax = new_axes(6.0, 2.5)
    >>> ax.figure.get_size_inches().tolist()
    [6.0, 2.5]
    """
    _give_settings_a_place()
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingError("plots need matplotlib: pip install 'factored-asr[plot]'") from None
    return Figure((width, height), layout="constrained").add_subplot()


def _give_settings_a_place() -> None:
    """Without a home that can be written, matplotlib prints complaints, or cannot be imported."""
    if "MPLCONFIGDIR" in os.environ or "matplotlib" in sys.modules:
        return
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    try:
        if not home.is_absolute():  # there is no home
            raise FileNotFoundError(home)
        (home / "matplotlib").mkdir(parents=True, exist_ok=True)  # as it does itself
        writable = os.access(home / "matplotlib", os.W_OK)
    except OSError:
        writable = False
    if not writable:
        os.environ["MPLCONFIGDIR"] = str(process_folder())
