from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.evaluate import (
    MEASURES,
    NO_GRADES,
    NO_LABELS,
    NO_NEGATIVES,
    NO_POSITIVES,
    Judgements,
    Resampling,
    agreement_json,
    measure_agreement,
)
from tests.models.evaluate.examples import made_judgements

NAN = float("nan")
MIXED = Judgements(
    ("good", "always", "never", "unlabelled", "ungraded"),
    np.array([[1, 1, 0, NAN, 1], [0, 1, 0, NAN, 0], [1, 1, 0, NAN, 0], [0, 1, NAN, NAN, 1]]),
    np.array([[2, 2, -1, 1, NAN], [-1, 2, -1, 1, NAN], [NAN, 2, -1, 1, NAN], [-3, -2, -1, 1, NAN]]),
    np.arange(4),
)


def test_what_cannot_be_measured_is_named_with_the_reason():
    found = measure_agreement(MIXED, Resampling(MIXED.group_S, 100))
    assert found.unmeasurable == {
        "always": NO_NEGATIVES,
        "never": NO_POSITIVES,
        "unlabelled": NO_LABELS,
        "ungraded": NO_GRADES,
    }
    assert set(found.propositions) == {"good", "always", "never"}


def test_unscorable_answers_are_counted_and_left_out():
    good = measure_agreement(MIXED, Resampling(MIXED.group_S, 100)).propositions["good"]
    assert (good.rows, good.positives, good.unscorable) == (3, 1, 1)
    assert good.figures["accuracy"].value == 1


def test_macro_figures_are_over_propositions_that_have_them():
    """AUROC needs both labels, which one proposition has; accuracy needs rows, which three have."""
    found = measure_agreement(MIXED, Resampling(MIXED.group_S, 100))
    assert found.macro_over["auroc"] == found.macro_over["balanced_accuracy"] == found.macro_over["kappa"] == 1
    assert found.macro_over["accuracy"] == found.macro_over["brier"] == found.macro_over["ece"] == 3
    assert found.macro["auroc"].value == found.propositions["good"].figures["auroc"].value == 1
    assert found.macro["accuracy"].value == pytest.approx((1 + 3 / 4 + 1) / 3)


def test_macro_auroc_is_the_mean_of_those_of_scikit_learn():
    made = made_judgements()
    found = measure_agreement(made, Resampling(made.group_S, 100))
    expected = np.mean([roc_auc_score(made.truth_S_P[:, i], made.logits_S_P[:, i]) for i in range(3)])
    assert found.macro["auroc"].value == pytest.approx(expected)


def test_figures_lie_in_their_intervals_and_the_same_seed_gives_the_same():
    made = made_judgements()
    found, again, other = (measure_agreement(made, Resampling(made.group_S, 400, seed)) for seed in (1, 1, 2))
    assert found == again
    assert found != other
    for measure in ("auroc", "accuracy", "balanced_accuracy", "brier", "kappa"):
        value, low, high = found.macro[measure]
        assert low < value < high


def test_completions_of_one_prompt_count_as_less_than_as_many_prompts():
    """Every row four times over: intervals as wide as those of a quarter of the rows, not half as wide."""
    made = made_judgements(100)
    repeated = [np.repeat(each, 4, axis=0) for each in (made.truth_S_P, made.logits_S_P, made.group_S)]
    copied = Judgements(made.names, *repeated)
    widths = []
    for each in (made, copied):
        _, low, high = measure_agreement(each, Resampling(each.group_S, 500)).macro["auroc"]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.01)


def test_json_has_every_measure_with_its_interval_and_null_for_what_is_undefined():
    document = agreement_json(measure_agreement(MIXED, Resampling(MIXED.group_S, 100)))
    assert set(document["macro"]) == {*MEASURES, "intervals"}
    never = document["propositions"]["never"]
    assert never["positives"] == 0
    assert never["auroc"] is never["kappa"] is never["intervals"]["auroc"] is None
    assert never["intervals"]["accuracy"] == [1, 1]


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="shape"):
        Judgements(("a",), np.zeros((2, 1)), np.zeros((3, 1)), np.arange(2))
