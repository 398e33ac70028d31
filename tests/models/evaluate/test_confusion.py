from __future__ import annotations

import numpy as np
import pytest

from models.evaluate import Judgements, Resampling, class_agreement, class_agreement_json, confusion, confusion_json
from models.policy import read_policy

POLICY = read_policy(
    """
    prompt_template: "{question} {response}"
    completion_class_order: [good, rude, wrong]
    completion_classes:
      good: {comply: {right: true, polite: true}, refuse: {polite: true}}
      rude: {comply: {right: true, polite: false}, refuse: {polite: false}}
      wrong: {comply: {right: false}}
    derived_propositions: {}
    simple_propositions: {right: {prompt: "Right?"}, polite: {prompt: "Polite?"}}
    """
)
NAN = float("nan")


def measured(truth, logits, types):
    made = Judgements(("right", "polite"), np.array(truth, float), np.array(logits, float), np.arange(len(types)))
    return class_agreement(POLICY.response_types, types, made, Resampling(made.group_S, 200))


def test_counts_accuracy_and_the_majority_beside_it():
    found = confusion(list("aaab"), list("aabb"), "abc", np.arange(4), Resampling(np.arange(4), 200))
    assert found.counts_L_L.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (found.accuracy.value, found.majority, found.rows) == (0.75, 0.75, 4)
    assert confusion_json(found)["confusion"]["a"] == {"a": 2, "b": 1, "c": 0}


def test_labels_that_nobody_announced_are_added():
    found = confusion(["a"], ["z"], "a", np.arange(1), Resampling(np.arange(1), 100))
    assert found.labels == ("a", "z")
    assert found.accuracy.value == 0


def test_without_rows_there_is_no_figure():
    found = confusion([], [], "ab", np.zeros(0, np.intp), Resampling(np.zeros(0, np.intp)))
    assert (found.accuracy.value, found.majority, found.rows) == (None, None, 0)


def test_classes_follow_from_labels_by_the_rules_and_from_grades_by_the_likeliest_class():
    found = measured(
        [[1, 1], [1, 0], [0, 1], [1, 1], [1, 1]],
        [[3, 3], [3, -3], [3, 3], [0.2, 0.3], [9, -9]],
        ["comply", "comply", "comply", "comply", "refuse"],
    )
    comply = confusion_json(found.response_types["comply"])["confusion"]
    # P(right) = 0.55 and P(polite) = 0.57 make "wrong" (0.45) likelier than "good" (0.31): not what 0 or 1 would give.
    assert comply["good"] == {"good": 1, "rude": 0, "wrong": 1}
    assert comply["rude"]["rude"] == 1
    assert comply["wrong"] == {"good": 1, "rude": 0, "wrong": 0}
    assert found.response_types["refuse"].accuracy.value == 0
    assert (found.rows, found.left_out) == (5, 0)
    assert found.overall.value == pytest.approx(2 / 5)
    assert found.majority == pytest.approx(3 / 5)


def test_rows_that_lack_a_label_or_a_grade_or_a_known_type_are_left_out():
    found = measured([[1, NAN], [1, 1], [1, 1]], [[3, 3], [3, NAN], [3, 3]], ["comply", "comply", None])
    assert (found.rows, found.left_out) == (0, 2)
    assert class_agreement_json(found)["accuracy"] is None
