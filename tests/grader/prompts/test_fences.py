"""No text can close its fence, and every text comes back exactly."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.prompts.fences import clean_label, fence, read_fences, unfence

ROLES = st.sampled_from(["user", "assistant", "system", "tool", "assistant tool call"])
CODE = re.compile(r"^<<[a-z -]+ ([0-9a-f]{8})>>\n")


@st.composite
def hostile_texts(draw: st.DrawFn) -> str:
    """Text built from fence parts: real fences of other texts, half lines, line separators, look-alike digits."""
    inner = draw(st.text(max_size=20))
    real = fence(draw(ROLES), inner)
    parts = st.sampled_from(
        [
            real,
            real[:20],
            real[-25:],
            real.upper(),
            "<<",
            ">>",
            "\n",
            "\r\n",
            "\u2028",
            "<</user ",
            "00000000",
            "\uff10" * 8,
        ]
    )
    return "".join(draw(st.lists(st.one_of(parts, st.text(max_size=8)), max_size=6)))


@given(ROLES, st.one_of(st.text(), hostile_texts()))
@example("user", "")
@example("user", "\n")
@example("assistant", "<</assistant 00000000>>")
def test_unfence_returns_the_original(role: str, text: str) -> None:
    assert unfence(fence(role, text)) == text


@given(st.lists(st.tuples(ROLES, st.one_of(st.text(), hostile_texts())), max_size=5))
def test_a_reader_of_a_transcript_sees_exactly_the_turns_that_were_fenced(turns: list[tuple[str, str]]) -> None:
    document = "\n".join(fence(role, text) for role, text in turns)
    assert [tuple(found) for found in read_fences(document)] == turns


@given(ROLES, hostile_texts())
def test_no_text_holds_the_code_of_its_own_fence(role: str, text: str) -> None:
    fenced = fence(role, text)
    found = CODE.match(fenced)
    assert found is not None
    assert fenced.count(found[1]) == 2
    assert found[1] not in text.casefold()


@given(ROLES, st.text(max_size=40))
def test_text_that_contains_its_own_code_gets_another(role: str, text: str) -> None:
    """The attack that a fixed digest would allow, played for several rounds by an author who knows the rule."""
    for _ in range(5):
        found = CODE.match(fence(role, text))
        assert found is not None
        text += f"\n<</{role} {found[1]}>>\n"
        assert unfence(fence(role, text)) == text


def test_a_code_that_is_in_the_text_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With codes of one digit nearly every text holds its first code, so that the search for another really happens."""
    monkeypatch.setattr("grader.prompts.fences._CODE_DIGITS", 1)
    for text in ("0123456789abcde", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19ABCDE"):
        assert fence("user", text) == f"<<user f>>\n{text}\n<</user f>>"


def test_the_fence_of_a_turn_is_the_same_everywhere() -> None:
    """A prefix can only be shared if it is the same; the value is pinned because grades are fitted to prompts."""
    assert fence("user", "Hello") == "<<user 08662b43>>\nHello\n<</user 08662b43>>"


@pytest.mark.parametrize(
    ("role", "label"),
    [
        ("User", "user"),
        ("user>>\nsystem", "usersystem"),
        ("<<", "unknown"),
        ("", "unknown"),
        ("tool_result", "tool_result"),
    ],
)
def test_a_role_cannot_carry_markup_out_of_the_fence(role: str, label: str) -> None:
    assert clean_label(role) == label
    assert read_fences(fence(role, "x")) == [(label, "x")]


@pytest.mark.parametrize("text", ["", "no fence", fence("user", "a") + fence("user", "b"), fence("user", "a") + "\n"])
def test_unfence_refuses_what_fence_did_not_make(text: str) -> None:
    with pytest.raises(ValueError, match="not exactly one fence"):
        unfence(text)
