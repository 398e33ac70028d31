"""A bad value in a file is the same invalid sample as in a request; a bad shape is a fault of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import RowError
from models.samples import Sample
from service.cli.samples import read_samples
from service.scoring.problems import BadSample, find_problem
from service.wire.parsing import parse_request
from service.wire.requests import RewardsRequest
from service.wire.samples import to_samples
from tests.service.cli.support import rbr

GOOD: dict[str, Any] = {"id": "a", "group": "g", "prompt": "Hello?", "completion": "Hi."}
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"base_reward": float("nan")}, "base_reward_not_finite"),
    ({"base_reward": 10**350}, "base_reward_not_finite"),
    ({"costs": {"harm": float("inf")}}, "cost_not_finite"),
    ({"prompt": "\ud800"}, "invalid_text"),
    ({"completion": [{"role": "assistant", "content": "\udfff"}]}, "invalid_text"),
    ({"completion": [{"role": "assistant"}]}, "empty_completion"),
    ({"prompt": []}, "empty_prompt"),
    ({"prompt": IMAGE}, "unsupported_content"),
    ({"completion": IMAGE}, "unsupported_content"),
]


def problem_of(sample: Sample | BadSample) -> Any:
    if isinstance(sample, BadSample):
        return sample.problem
    return find_problem(sample, sample.completion, ())


def written(file: Path, *rows: object) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[str(change)[:40] for change, _ in BAD])
def test_a_bad_value_is_the_same_problem_as_in_a_request(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    row = {**GOOD, **change}
    (read,) = read_samples(written(tmp_path / "rows.jsonl", row))
    (sent,) = to_samples(parse_request(RewardsRequest, json.dumps({"samples": [row]}).encode()))
    assert problem_of(read) == problem_of(sent)
    assert problem_of(read).reason == reason
    assert (read.id, read.group, read.prompt) == (sent.id, sent.group, sent.prompt)


@pytest.mark.parametrize("line", ["{", "[1]", '{"prompt": "a"}', '{"prompt": "a", "completion": 5}'])
def test_a_bad_shape_is_a_fault_of_the_file(tmp_path: Path, line: str) -> None:
    file = written(tmp_path / "rows.jsonl", GOOD)
    file.write_text(file.read_text(encoding="utf-8") + line, encoding="utf-8")
    with pytest.raises(RowError, match=r"rows\.jsonl:2: "):
        read_samples(file)


def test_bad_values_leave_the_other_rows_their_rewards(tmp_path: Path) -> None:
    good = {**GOOD, "response_type": "comply"}
    rows = written(tmp_path / "rows.jsonl", good, *({**good, **change} for change, _ in BAD), good)
    scored = rbr("score", rows, "--out", "-")
    assert scored.returncode == 0, scored.stderr
    results = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [result.get("reason") for result in results] == [None, *(reason for _, reason in BAD), None]
