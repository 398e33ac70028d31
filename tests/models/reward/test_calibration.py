from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import WeightsError
from models.reward import Calibration, Line, read_calibration, write_calibration

CALIBRATION = Calibration({"rude": Line(0.5, -1.0)}, "grader:1")
LOGITS_S_P = np.array([[2.0, 4.0], [np.nan, -4.0]])


def test_the_identity_changes_nothing():
    assert Calibration().apply(LOGITS_S_P, ["rude", "wrong"]) is LOGITS_S_P
    assert Calibration({"rude": Line()}).columns(["rude"]) is None


def test_a_line_is_applied_to_its_own_column_and_leaves_what_was_not_graded():
    calibrated = CALIBRATION.apply(LOGITS_S_P, ["rude", "wrong"])
    np.testing.assert_array_equal(calibrated, [[0.0, 4.0], [np.nan, -4.0]])
    np.testing.assert_array_equal(CALIBRATION.apply(LOGITS_S_P, ["wrong", "rude"]), [[2.0, 1.0], [np.nan, -3.0]])


def test_files_are_read_back(tmp_path: Path):
    write_calibration(CALIBRATION, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == CALIBRATION


def test_the_fingerprint_is_of_lines_and_grader():
    others = [
        Calibration(),
        Calibration({"rude": Line(0.5, 1.0)}, "grader:1"),
        Calibration(CALIBRATION.lines, "grader:2"),
    ]
    assert len({each.fingerprint for each in [CALIBRATION, *others]}) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "grader_identity": "g"}', "missing key 'propositions'"),
        ('{"format": 9, "grader_identity": "g", "propositions": {}}', "unknown format 9"),
        (
            '{"format": 1, "grader_identity": "g", "propositions": {"a": {"slope": 1}}}',
            "propositions.a: missing key 'intercept'",
        ),
        (
            '{"format": 1, "grader_identity": "g", "propositions": {"a": {"slope": Infinity, "intercept": 0}}}',
            "a.slope: expected a f",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_key_path(tmp_path: Path, text: str, message: str):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match=message):
        read_calibration(path)


def test_a_threshold_is_kept_beside_its_line_and_changes_no_fingerprint(tmp_path: Path):
    decided = Calibration(CALIBRATION.lines, CALIBRATION.grader_identity, {"rude": 0.3})
    write_calibration(decided, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == decided
    assert decided.fingerprint == CALIBRATION.fingerprint


def test_a_threshold_that_is_no_probability_is_refused(tmp_path: Path):
    path = tmp_path / "calibration.json"
    line = '{"slope": 1, "intercept": 0, "threshold": 1.5}'
    path.write_text(f'{{"format": 1, "grader_identity": "g", "propositions": {{"a": {line}}}}}')
    with pytest.raises(WeightsError, match=r"propositions\.a\.threshold: expected a probability"):
        read_calibration(path)
