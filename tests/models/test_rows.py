from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conversations import Message
from models.errors import RowError
from models.rows import prompt_group, read_rows, row_from_json
from tests.support import GOLD, needs_shared_data

SIMPLE = {"prompt": "Hi", "completion": "Hello"}


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


@needs_shared_data
def test_reads_the_released_gold_rows():
    rows = list(read_rows(GOLD))
    assert len(rows) == 314
    assert {row.sample.response_type for row in rows} == {"comply", "hard_refuse", "safe_refuse_1", "safe_refuse_2"}
    assert {value for row in rows for value in (row.propositions or {}).values()} == {0.0, 1.0}
    assert all(row.sample.group == prompt_group(row.sample.prompt) for row in rows)


def test_rows_know_their_lines_and_blank_ones_count(tmp_path: Path):
    rows = list(read_rows(write(tmp_path / "rows.jsonl", SIMPLE, "", "  ", SIMPLE)))
    assert [row.line for row in rows] == [1, 4]
    assert rows[1].place(2) == "line 4"
    assert row_from_json(SIMPLE).place(2) == "row 2"
    assert rows[0] == rows[1] == row_from_json(SIMPLE)


def test_strings_are_a_user_prompt_and_an_assistant_completion():
    sample = row_from_json(SIMPLE).sample
    assert sample.prompt == (Message("user", "Hi"),)
    assert sample.completion == (Message("assistant", "Hello"),)
    assert sample.base_reward is None
    assert sample.costs == {}


def test_reads_every_field_of_a_comparison():
    row = row_from_json(
        {
            **SIMPLE,
            "id": 7,
            "group": "g",
            "category": "None",
            "label": "ideal",
            "response_type": "Safe-Refuse 1",
            "base_reward": -2,
            "costs": {"harm": 0.5},
            "propositions": {"apology": True, "judgmental": 0.25},
            "reasoning": "thinking",
            "finish_reason": "stop",
            "source": "passed over",
        }
    )
    assert (row.sample.id, row.sample.group, row.category, row.label) == ("7", "g", "None", "ideal")
    assert (row.sample.response_type, row.sample.base_reward, row.sample.costs) == (
        "safe_refuse_1",
        -2.0,
        {"harm": 0.5},
    )
    assert row.propositions == {"apology": 1.0, "judgmental": 0.25}
    assert (row.sample.reasoning, row.sample.finish_reason) == ("thinking", "stop")


def test_completions_of_one_prompt_share_a_group_and_other_prompts_do_not():
    groups = [row_from_json({"prompt": prompt, "completion": "x"}).sample.group for prompt in ("a", "a", "b")]
    assert groups[0] == groups[1] != groups[2]


def test_skips_blank_lines_and_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(SIMPLE).encode() + b"\r\n\r\n  \n" + json.dumps(SIMPLE).encode())
    assert len(list(read_rows(path))) == 2


def test_reads_line_by_line_so_that_rows_before_a_bad_one_are_had(tmp_path: Path):
    rows = read_rows(write(tmp_path / "rows.jsonl", SIMPLE, "{"))
    assert next(rows).sample.prompt[0].content == "Hi"
    with pytest.raises(RowError, match=r"rows\.jsonl:2: not JSON"):
        next(rows)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": 3}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [{"role": "robot", "content": ""}]}, "prompt[0].role"),
        ({"reasoning": "\ud800"}, "reasoning"),
        ({"costs": {"\ud800": 1.0}}, "costs"),
        ({"completion": None}, "completion"),
        ({"label": 1}, "label"),
        ({"id": True}, "id"),
        ({"base_reward": "1"}, "base_reward"),
        ({"base_reward": True}, "base_reward"),
        ({"base_reward": 10**400}, "base_reward"),
        ({"base_reward": float("nan")}, "base_reward"),
        ({"costs": [1]}, "costs"),
        ({"costs": {"harm": float("inf")}}, "costs.harm"),
        ({"propositions": {"apology": 1.5}}, "propositions.apology"),
        ({"propositions": {"apology": "yes"}}, "propositions.apology"),
        ({"propositions": {"apology": None}}, "propositions.apology"),
    ],
)
def test_a_bad_value_is_named(change: dict[str, object], field: str):
    with pytest.raises(RowError) as caught:
        row_from_json({**SIMPLE, **change})
    assert caught.value.field == field
    assert field in caught.value.message


@pytest.mark.parametrize(
    "line", ['{"prompt": "a", "completion": "b", "base_reward": NaN}', "[1]", '"x"', "{}", '{"prompt": "\\ud800"}']
)
def test_a_malformed_line_is_named_with_its_file_and_number(tmp_path: Path, line: str):
    with pytest.raises(RowError, match=r"rows\.jsonl:3: "):
        list(read_rows(write(tmp_path / "rows.jsonl", SIMPLE, "", line)))


def test_a_file_that_is_not_there_is_a_row_error(tmp_path: Path):
    with pytest.raises(RowError, match="cannot be read"):
        list(read_rows(tmp_path / "none.jsonl"))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "completion", "base_reward", "propositions", "label", "id", "costs"]), _json
    )
)
def test_any_json_is_a_row_or_a_row_error(value: dict[str, object]):
    with suppress(RowError):
        row_from_json(value)
