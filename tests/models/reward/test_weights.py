from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import WeightsError
from models.reward import (
    BaseNormaliser,
    RewardWeights,
    load_weights,
    packaged_weights,
    read_weights,
    weights_from_json,
    weights_to_json,
    write_weights,
)
from tests.models.examples import small_policy, weights_for

WEIGHTS = weights_for(
    small_policy(), 0.5, expects_base=True, base_normaliser=BaseNormaliser(0.25, 2.0), report={"settings": {"l2": 1e-4}}
)

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_names = st.text(min_size=1, max_size=6)


@given(st.dictionaries(_names, st.dictionaries(_names, _numbers, max_size=3), max_size=3), _numbers)
def test_what_is_written_is_read_back_to_the_last_bit(values: dict[str, dict[str, float]], offset: float):
    weights = RewardWeights("p", values, dict.fromkeys(values, offset), dict.fromkeys(values, "f"), "g")
    text = json.dumps(weights_to_json(weights))
    assert weights_from_json(text, "text") == weights


def test_files_are_readable_and_read_back(tmp_path: Path):
    path = tmp_path / "weights.json"
    write_weights(WEIGHTS, path)
    assert read_weights(path) == WEIGHTS
    assert load_weights(path) == WEIGHTS
    assert len(path.read_text().splitlines()) > 20
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.json"]


def test_the_fingerprint_is_of_what_changes_a_reward():
    assert replace(WEIGHTS, report={}).fingerprint == WEIGHTS.fingerprint
    changes = {
        "policy": "other",
        "values": {"comply": {"rude": 1.0}},
        "offsets": {"comply": 1.0},
        "rules_fingerprints": {"comply": "x"},
        "grader_identity": "other",
        "expects_base": False,
        "base_normaliser": None,
    }
    changed = {replace(WEIGHTS, **{name: value}).fingerprint for name, value in changes.items()}
    assert len(changed | {WEIGHTS.fingerprint}) == len(changes) + 1


@pytest.mark.parametrize(
    ("key", "value", "field", "message"),
    [
        ("format", 2, "format", "unknown format 2; this version reads format 1"),
        ("format", True, "format", "unknown format True"),
        ("policy", 1, "policy", "expected a string"),
        ("values", [], "values", "expected an object"),
        ("values", {"comply": {"rude": "1"}}, "values.comply.rude", "expected a number"),
        ("values", {"comply": {"rude": True}}, "values.comply.rude", "expected a number"),
        ("values", {"comply": {"rude": 10**400}}, "values.comply.rude", "expected a finite number"),
        ("values", {"comply": 1}, "values.comply", "expected an object"),
        ("offsets", {}, "offsets", "has to name the response types of values: comply"),
        ("rules_fingerprints", {"comply": None}, "rules_fingerprints.comply", "expected a string"),
        ("expects_base", 1, "expects_base", "expected true or false"),
        ("base_normaliser", {"mean": 0}, "base_normaliser", "missing key 'spread'"),
        ("base_normaliser", {"mean": 0, "spread": -1}, "base_normaliser.spread", "at least 0"),
        ("report", [], "report", "expected an object"),
        ("extra", 1, None, "unknown key 'extra'; the keys are format"),
    ],
)
def test_a_wrong_value_is_named_by_its_key_path(
    tmp_path: Path, key: str, value: object, field: str | None, message: str
):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({**weights_to_json(WEIGHTS), key: value}))
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert caught.value.field == field
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("key", weights_to_json(WEIGHTS))
def test_every_key_is_required(key: str):
    document = weights_to_json(WEIGHTS)
    del document[key]
    with pytest.raises(WeightsError, match=f"missing key '{key}'"):
        weights_from_json(json.dumps(document), "text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected an object"),
        ('{"format": 1, "format": 1}', "the key 'format' stands twice"),
        (json.dumps(weights_to_json(WEIGHTS)).replace("0.25", "NaN"), "base_normaliser.mean: expected a finite number"),
    ],
)
def test_text_that_is_no_weights_file_is_refused(text: str, message: str):
    with pytest.raises(WeightsError, match=message):
        weights_from_json(text, "text")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"none\.json: cannot be read"):
        read_weights(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="is not UTF-8 text"):
        read_weights(tmp_path / "latin.json")


def test_an_unknown_name_lists_the_packaged_weights():
    with pytest.raises(WeightsError, match="neither a file nor packaged; packaged weights: ") as caught:
        load_weights("no-such-weights")
    assert all(name in str(caught.value) for name in packaged_weights())


@pytest.mark.parametrize("name", packaged_weights())
def test_packaged_weights_load(name: str):
    assert load_weights(name).values
