"""How good is it? Figures from grades and labels, with their uncertainty."""

from models.evaluate.agreement import (
    NO_GRADES,
    NO_LABELS,
    NO_NEGATIVES,
    NO_POSITIVES,
    Agreement,
    PropositionAgreement,
    measure_agreement,
)
from models.evaluate.bootstrap import Figure, Resampling
from models.evaluate.calibrating import CalibrationFit, HeldOut, fit_calibration
from models.evaluate.comparison import COMPARED, HIGHER_IS_BETTER, Comparison, Difference, compare
from models.evaluate.confusion import ClassAgreement, Confusion, class_agreement, confusion
from models.evaluate.judgements import Judgements, number_groups
from models.evaluate.measures import MEASURES, NEEDS_BOTH_LABELS, measures
from models.evaluate.reliability import Reliability, reliability
from models.evaluate.report import (
    agreement_json,
    calibration_json,
    class_agreement_json,
    comparison_json,
    confusion_json,
)

__all__ = [
    "COMPARED",
    "HIGHER_IS_BETTER",
    "MEASURES",
    "NEEDS_BOTH_LABELS",
    "NO_GRADES",
    "NO_LABELS",
    "NO_NEGATIVES",
    "NO_POSITIVES",
    "Agreement",
    "CalibrationFit",
    "ClassAgreement",
    "Comparison",
    "Confusion",
    "Difference",
    "Figure",
    "HeldOut",
    "Judgements",
    "PropositionAgreement",
    "Reliability",
    "Resampling",
    "agreement_json",
    "calibration_json",
    "class_agreement",
    "class_agreement_json",
    "compare",
    "comparison_json",
    "confusion",
    "confusion_json",
    "fit_calibration",
    "measure_agreement",
    "measures",
    "number_groups",
    "reliability",
]
