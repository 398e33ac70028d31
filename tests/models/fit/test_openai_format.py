"""OpenAI's weight-fitting format is read whole, or refused with the file and the line."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import RowError
from models.fit import OPENAI_ORDERING, fit_weights, is_openai_format, read_openai_rows
from models.policy.reading import load_policy
from tests.models.fit.openai_files import COMPLETIONS, documents, write

POLICY = load_policy("safety")


def test_the_three_files_become_graded_rows_with_base_rewards(tmp_path: Path):
    files = write(tmp_path, *documents(POLICY, prompts=2))
    rows = read_openai_rows(*files)
    assert len(rows) == 2 * sum(map(len, COMPLETIONS.values()))
    first = rows[0]
    assert (first.sample.response_type, first.label, first.category, first.line) == (
        "comply",
        "fully complies",
        "None",
        1,
    )
    assert first.sample.prompt[0].content == "Question 0 (Comply)?"
    assert first.propositions["partially_complies"] == 0.97
    assert first.sample.base_reward == pytest.approx(documents(POLICY)[2][0]["rm_score"])
    assert len({row.sample.group for row in rows}) == 4


def test_weights_are_fitted_to_it_and_order_its_labels(tmp_path: Path):
    rows = read_openai_rows(*write(tmp_path, *documents(POLICY, prompts=4)))
    weights = fit_weights(POLICY, rows, grader_identity="openai", ordering=OPENAI_ORDERING, allow_missing=True, folds=2)
    report = weights.report["response_types"]
    assert list(report) == ["hard_refuse", "comply"]
    assert weights.expects_base
    assert all(each["error_rate"] == 0 for each in report.values())
    assert all(each["held_out"]["error_rate"] == 0 for each in report.values())


def test_labels_of_no_rank_between_them_make_no_pair():
    assert OPENAI_ORDERING["perfect refusal"] == OPENAI_ORDERING["imperfect refusal"]
    assert OPENAI_ORDERING["partially complies"] < OPENAI_ORDERING["random non-refusal"]


def test_without_features_rows_are_there_to_be_graded(tmp_path: Path):
    files = write(tmp_path, *documents(POLICY))
    rows = read_openai_rows(files.comparisons)
    assert all(row.propositions is None and row.sample.base_reward is None for row in rows)


def test_the_format_is_told_by_its_first_line(tmp_path: Path):
    assert is_openai_format(write(tmp_path, *documents(POLICY)).comparisons)
    ours = tmp_path / "ours.jsonl"
    ours.write_text('\n{"prompt": "a", "completion": "b"}\n', encoding="utf-8")
    assert not is_openai_format(ours)
    ours.write_text("", encoding="utf-8")
    assert not is_openai_format(ours)
    with pytest.raises(RowError, match="cannot be read"):
        is_openai_format(tmp_path / "missing.jsonl")


def change(lines: list[Any], *path: Any, value: Any) -> list[Any]:
    lines = copy.deepcopy(lines)
    target = lines
    for step in path[:-1]:
        target = target[step]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return lines


FAULTS: list[tuple[int, tuple[Any, ...], Any, str]] = [
    (0, (0,), {"prompt": "a"}, r"train.jsonl:1: expected \[prompt string, \[completion, ...\]\]"),
    (0, (1, 1), "text", r"train.jsonl:2: expected \[prompt string"),
    (0, (0, 1, 2), 5, "train.jsonl:1: completion 3: expected an object, got 5"),
    (0, (0, 1, 0, "completion"), ..., "train.jsonl:1: completion 1: completion: expected a list of messages"),
    (0, (0, 1, 0, "prompt"), [], "train.jsonl:1: completion 1: prompt: has no messages"),
    (0, (0, 1, 0, "response_type"), None, "response_type: expected a string, got None"),
    (0, (0, 1, 0, "completion_type"), "", "completion_type: expected a string"),
    (
        0,
        (0, 1, 0, "completion", 0, "content"),
        "Other.",
        "the features file has no line for this prompt and completion",
    ),
    (1, (0, "features"), ..., 'features.jsonl:1: expected {"prompt_completion"'),
    (1, (0, "prompt_completion"), ["a"], "features.jsonl:1: prompt_completion: expected two strings"),
    (1, (0, "features", "apology"), 1.5, r"features.jsonl:1: features.apology: expected P\(yes\) in \[0, 1\], got 1.5"),
    (1, (0, "features", "apology"), "x", "features.apology: expected a number"),
    (1, (0, "features"), [1], "features: expected an object of name"),
    (2, (0, "rm_score"), float("nan"), "rewards.jsonl:1: rm_score: expected a finite number"),
    (2, (1,), {"prompt_completion": ["a", "b"], "rm_score": 0}, "the rewards file has no line for this prompt"),
]


@pytest.mark.parametrize(("file", "path", "value", "message"), FAULTS)
def test_what_is_of_another_form_is_refused_with_file_and_line(
    tmp_path: Path, file: int, path: tuple[Any, ...], value: Any, message: str
):
    lines = [*documents(POLICY)]
    lines[file] = change(lines[file], *path, value=value)
    with pytest.raises(RowError, match=message):
        read_openai_rows(*write(tmp_path, *lines))


def test_two_lines_that_disagree_about_one_completion_are_refused(tmp_path: Path):
    comparisons, features, rewards = documents(POLICY)
    read_openai_rows(*write(tmp_path, comparisons, [*features, features[0]], rewards))  # the same again is no harm
    with pytest.raises(RowError, match=r"rewards\.jsonl:19: rm_score: another line has other values"):
        read_openai_rows(*write(tmp_path, comparisons, features, [*rewards, {**rewards[0], "rm_score": 9.0}]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, ...]]:
    steps = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [(), *((step, *rest) for step, inner in steps for rest in places(inner))]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(file=st.integers(0, 2), pick=st.integers(0, 10**6), value=json_values, cut=st.integers(0, 40))
def test_whatever_stands_in_a_file_is_read_or_refused_by_name(
    tmp_path: Path, file: int, pick: int, value: Any, cut: int
):
    lines = [*documents(POLICY, prompts=1)]
    found = [place for place in places(lines[file]) if place]
    lines[file] = change(lines[file], *found[pick % len(found)], value=value)
    files = write(tmp_path, *lines)
    if cut < 5:
        text = files[file].read_bytes()
        files[file].write_bytes(text[: len(text) * cut // 5])
    with suppress(RowError):
        rows = read_openai_rows(*files)
        assert all(row.label and row.propositions for row in rows)
        assert np.isfinite([row.sample.base_reward for row in rows]).all()
