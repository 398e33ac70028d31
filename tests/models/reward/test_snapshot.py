from __future__ import annotations

from dataclasses import replace

import pytest

from models.errors import PolicyError, UnfittedWeights
from models.policy.policy import CombinationSpec
from models.reward import Calibration, Line, Snapshot
from tests.models.examples import IDENTITY, small_policy, weights_for

POLICY = small_policy()
WEIGHTS = weights_for(POLICY)


def sparse(**values: float) -> Snapshot:
    return Snapshot(POLICY, replace(WEIGHTS, values={"comply": values}))


def test_every_proposition_is_needed_to_explain():
    assert sparse().needed("comply", explain=True) == ("rude", "wrong", "long")


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({}, ()),
        ({"rude": 0.0, "long": 0.0, "good": 0.0}, ()),
        ({"long": 1.0}, ("long",)),
        ({"long": 1.0, "wrong": -1.0}, ("wrong", "long")),
        ({"good": 1.0}, ("rude", "wrong")),
        ({"bad": 1.0}, ("wrong",)),
    ],
)
def test_only_what_can_change_the_reward_is_needed(values: dict[str, float], needed: tuple[str, ...]):
    """``bad`` is decided by ``wrong`` alone; the other classes also by ``rude``; no class by ``long``."""
    assert sparse(**values).needed("comply") == needed


def test_an_unknown_response_type_is_a_key_error():
    with pytest.raises(KeyError):
        sparse().needed("refuse")


def test_weights_of_other_rules_are_refused_unless_asked_for():
    stale = replace(WEIGHTS, rules_fingerprints={"comply": "old"}, values={"comply": {"rude": 1.0, "gone": 5.0}})
    with pytest.raises(UnfittedWeights, match="rbr fit"):
        Snapshot(POLICY, stale)
    snapshot = Snapshot(POLICY, stale, unfitted=True)
    assert snapshot.response_types["comply"].weights_F.tolist() == [1, 0, 0, 0, 0, 0]
    empty = replace(WEIGHTS, values={}, offsets={}, rules_fingerprints={})
    assert Snapshot(POLICY, empty, unfitted=True).response_types["comply"].offset == 0


def test_a_calibration_of_another_grader_is_refused():
    with pytest.raises(UnfittedWeights, match="calibration is of the grader other"):
        Snapshot(POLICY, WEIGHTS, Calibration({"rude": Line(2.0)}, "other"))
    Snapshot(POLICY, WEIGHTS, Calibration({"rude": Line(2.0)}, IDENTITY))


def test_a_combination_rule_that_does_not_exist_is_refused_at_once():
    with pytest.raises(PolicyError, match="unknown rule 'best'"):
        Snapshot(replace(POLICY, combination=CombinationSpec("best")), WEIGHTS)


def test_the_fingerprint_is_of_policy_weights_and_calibration():
    snapshots = [
        Snapshot(POLICY, WEIGHTS),
        Snapshot(replace(POLICY, version="2"), WEIGHTS),
        Snapshot(POLICY, weights_for(POLICY, 2.0)),
        Snapshot(POLICY, WEIGHTS, Calibration({"rude": Line(2.0)}, IDENTITY)),
    ]
    assert len({snapshot.fingerprint for snapshot in snapshots}) == 4
    assert Snapshot(POLICY, WEIGHTS).fingerprint == snapshots[0].fingerprint
