"""Figures as JSON, in the shape that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.evaluate.agreement import Agreement, PropositionAgreement
from models.evaluate.bootstrap import Figure
from models.evaluate.calibrating import CalibrationFit
from models.evaluate.comparison import HIGHER_IS_BETTER, Comparison, Difference
from models.evaluate.confusion import ClassAgreement, Confusion

_DIGITS: Final = 6


def agreement_json(agreement: Agreement) -> dict[str, Any]:
    """``macro``, ``macro_over``, ``propositions`` and ``unmeasurable``."""
    return {
        "macro": {**_values(agreement.macro), "intervals": _intervals(agreement.macro)},
        "macro_over": dict(agreement.macro_over),
        "propositions": {name: _proposition(each) for name, each in agreement.propositions.items()},
        "unmeasurable": dict(agreement.unmeasurable),
    }


def class_agreement_json(classes: ClassAgreement) -> dict[str, Any]:
    return {
        "rows": classes.rows,
        "left_out": classes.left_out,
        "accuracy": _rounded(classes.overall.value),
        "interval": _interval(classes.overall),
        "majority": _rounded(classes.majority),
        "response_types": {name: confusion_json(each) for name, each in classes.response_types.items()},
    }


def confusion_json(confusion: Confusion) -> dict[str, Any]:
    """``confusion``: gold label -> predicted label -> rows."""
    return {
        "rows": confusion.rows,
        "accuracy": _rounded(confusion.accuracy.value),
        "interval": _interval(confusion.accuracy),
        "majority": _rounded(confusion.majority),
        "confusion": {
            gold: dict(zip(confusion.labels, row, strict=True))
            for gold, row in zip(confusion.labels, confusion.counts_L_L.tolist(), strict=True)
        },
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Differences are of the grader less the one that it is compared with."""
    macro = {}
    for measure, difference in comparison.macro.items():
        own, others = comparison.macro_of[measure]
        macro[measure] = {**_difference(difference), "of": _rounded(own), "against": _rounded(others)}
        del macro[measure]["p_adjusted"]
    return {
        "rows": comparison.rows,
        "higher_is_better": dict(HIGHER_IS_BETTER),
        "macro": macro,
        "propositions": {
            name: {measure: _difference(difference) for measure, difference in each.items()}
            for name, each in comparison.propositions.items()
        },
    }


def calibration_json(fit: CalibrationFit) -> dict[str, Any]:
    """Line, threshold and held-out gain of each proposition."""
    return {
        name: {
            "slope": _rounded(line.slope),
            "intercept": _rounded(line.intercept),
            "threshold": _rounded(fit.calibration.thresholds[name]),
            "held_out": {key: _rounded(value) for key, value in fit.held_out[name]._asdict().items()},
        }
        for name, line in fit.calibration.lines.items()
    }


def _proposition(agreement: PropositionAgreement) -> dict[str, Any]:
    return {
        "rows": agreement.rows,
        "positives": agreement.positives,
        "unscorable": agreement.unscorable,
        **_values(agreement.figures),
        "intervals": _intervals(agreement.figures),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "difference": _rounded(difference.difference.value),
        "interval": _interval(difference.difference),
        "p_value": _rounded(difference.p_value),
        "p_adjusted": _rounded(difference.p_adjusted),
    }


def _values(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    return {name: _rounded(figure.value) for name, figure in figures.items()}


def _intervals(figures: Mapping[str, Figure]) -> dict[str, list[float] | None]:
    return {name: _interval(figure) for name, figure in figures.items()}


def _interval(figure: Figure) -> list[float] | None:
    if figure.low is None or figure.high is None:
        return None
    return [round(figure.low, _DIGITS), round(figure.high, _DIGITS)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
