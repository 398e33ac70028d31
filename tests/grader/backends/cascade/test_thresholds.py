"""The thresholds file: what is written is read, and whatever is wrong with it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grader.backends.cascade import Bounds, read_thresholds, write_thresholds
from models.errors import WeightsError
from tests.grader.backends.cascade.support import POLICY, thresholds


def document(folder: Path) -> dict[str, Any]:
    write_thresholds(thresholds({"apology": Bounds(-1.25, None), "judgement": Bounds(None, 3.5)}), folder / "t.json")
    content: dict[str, Any] = json.loads((folder / "t.json").read_text(encoding="utf-8"))
    return content


def test_what_is_written_is_read(tmp_path: Path) -> None:
    document(tmp_path)
    read = read_thresholds(tmp_path / "t.json")
    assert read == thresholds({"apology": Bounds(-1.25, None), "judgement": Bounds(None, 3.5)})
    assert read.bounds(POLICY.propositions["judgement"]) == Bounds(None, 3.5)
    assert read.bounds(POLICY.propositions["disclaimer"]) is None


def test_the_digest_is_of_the_bounds_and_not_of_the_figures(tmp_path: Path) -> None:
    content = document(tmp_path)
    before = read_thresholds(tmp_path / "t.json").digest
    content["propositions"]["apology"]["held_out"]["share"] = 0.1
    (tmp_path / "t.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_thresholds(tmp_path / "t.json").digest == before
    content["propositions"]["apology"]["low"] = -1.0
    (tmp_path / "t.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_thresholds(tmp_path / "t.json").digest != before


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), 2, "this version reads format 1"),
        (("first",), 3, "first: expected a string"),
        (("agreement",), 98, "agreement: expected a share between 0 and 1"),
        (("propositions", "apology", "low"), 0.5, "apology.low: expected a negative logit or null"),
        (("propositions", "apology", "high"), -0.5, "apology.high: expected a logit of 0 or more"),
        (("propositions", "apology", "high"), True, "apology.high: expected a number"),
        (("propositions", "apology", "rows"), 1.5, "apology.rows: expected a whole number"),
        (("propositions", "apology", "extra"), 1, "apology.*unknown key 'extra'|unknown key 'extra'"),
        (("propositions",), [], "propositions: expected an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    content = document(tmp_path)
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "t.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        read_thresholds(tmp_path / "t.json")


def test_a_missing_key_and_a_missing_file_are_named(tmp_path: Path) -> None:
    content = document(tmp_path)
    del content["propositions"]["apology"]["low"]
    (tmp_path / "t.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match="missing key 'low'"):
        read_thresholds(tmp_path / "t.json")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_thresholds(tmp_path / "none.json")
