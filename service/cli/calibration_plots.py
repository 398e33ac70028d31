"""Reliability diagrams as one picture: a panel a proposition. Needs matplotlib (extra ``evaluate``)."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.errors import EvaluationError
from models.evaluate import Agreement, Reliability

_COLUMNS: Final = 5
_PANEL_INCHES: Final = 2.5
_LINE, _IDEAL, _BARS = "#1f5fa8", "#999999", "#c9d8ea"


def require_matplotlib() -> None:
    """Raises `EvaluationError` with the command that installs it; asked for before anything is graded."""
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - only asked for; nothing else of the command needs it
    except ImportError as error:
        raise EvaluationError("plots need matplotlib: pip install 'rbr-service[evaluate]'") from error


def draw_reliability(found: Mapping[str, Reliability], agreement: Agreement, title: str, file: Path) -> Path:
    """Writes a PNG and returns its path.

    Dots: share of yes among rows of about that P(yes), with 95% intervals; the diagonal is a calibrated grader. Bars:
    the share of rows in each bin.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - extra `evaluate`
    from matplotlib.figure import Figure  # noqa: PLC0415 - extra `evaluate`

    rows = max(1, ceil(len(found) / _COLUMNS))
    picture = Figure(figsize=(_COLUMNS * _PANEL_INCHES, rows * (_PANEL_INCHES + 0.35) + 0.8), layout="constrained")
    FigureCanvasAgg(picture)
    picture.suptitle(f"{title}\ndots: share of yes at that P(yes), 95% interval; bars: share of rows", fontsize=10)
    panels = picture.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, (name, each) in zip(panels, found.items(), strict=False):
        _draw(panel, name, each, agreement)
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(found) - _COLUMNS) : len(found)]:
        panel.tick_params(labelbottom=True)  # the lowest of its column, even where the last row is not full
    picture.supxlabel("P(yes) of the grader", fontsize=10)
    picture.supylabel("share of yes by the labels", fontsize=10)
    picture.savefig(file, dpi=110)
    return file


def _draw(panel: Any, name: str, found: Reliability, agreement: Agreement) -> None:
    own = agreement.propositions[name]
    centres = (np.floor(np.minimum(found.p_yes_K, 0.999) * 10) + 0.5) / 10
    panel.bar(centres, found.rows_K / found.rows_K.sum(), width=0.1, color=_BARS, zorder=1)
    panel.plot([0, 1], [0, 1], color=_IDEAL, linewidth=1, linestyle="--", zorder=2)
    spread = np.stack([found.share_K - found.low_K, found.high_K - found.share_K])
    panel.errorbar(
        found.p_yes_K,
        found.share_K,
        yerr=np.maximum(spread, 0),
        fmt="o",
        markersize=4,
        linewidth=1,
        color=_LINE,
        zorder=3,
    )
    ece = own.figures["ece"].value
    panel.set_title(f"{_wrapped(name)}\n{own.positives} yes of {own.rows}, ECE {ece:.3f}", fontsize=8)
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    panel.tick_params(labelsize=8)


def _wrapped(name: str) -> str:
    """In two lines where it is long, so that neighbours do not run into each other."""
    words = name.split("_")
    if len(name) <= 26:  # noqa: PLR2004 - characters that fit over a panel
        return name
    half = len(words) // 2 + len(words) % 2
    return "_".join(words[:half]) + "_\n" + "_".join(words[half:])
