"""Reading yes and no from a list of likely tokens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.grades import LABEL_MASS_LOW, LABELS_MISSING, MALFORMED_ANSWER, Grade, Unscorable
from grader.prompts.labels import DEFAULT_LABEL_MASS_FLOOR, Label, label_of, read_top_logprobs

YES = ["yes", "Yes", "YES", " yes", "\u2581yes", "\u0120Yes", "yes.", '"yes']
NO = ["no", "No", "NO", " no", "\u2581no", "\u0120No", "no.", "**No"]


def listed(**probabilities: float) -> list[tuple[str, float]]:
    return [(token, math.log(p)) for token, p in probabilities.items()]


@pytest.mark.parametrize(("tokens", "label"), [(YES, Label.YES), (NO, Label.NO)])
def test_spellings_of_a_label(tokens: list[str], label: Label) -> None:
    assert {label_of(token) for token in tokens} == {label}


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "ye",
        "n",
        "none",
        "not",
        "yesterday",
        "yes no",
        "token_id:9693",
        "\u0443\u0435\u0455",
        "\uff59\uff45\uff53",
        "\u00d1o",
    ],
)
def test_what_is_no_label(token: str) -> None:
    assert label_of(token) is None


@given(
    st.lists(st.floats(1e-9, 1), min_size=1, max_size=len(YES)),
    st.lists(st.floats(1e-9, 1), min_size=1, max_size=len(NO)),
    st.floats(0, 0.3),
    st.randoms(),
)
def test_spellings_are_summed_in_any_order(yes: list[float], no: list[float], rest: float, rng: object) -> None:
    """The logit is that of the summed probabilities, and the mass is their sum."""
    scale = (1 - rest) / (sum(yes) + sum(no))
    yes, no = [p * scale for p in yes], [p * scale for p in no]
    top = [*zip(YES, map(math.log, yes), strict=False), *zip(NO, map(math.log, no), strict=False)]
    rng.shuffle(top)  # type: ignore[attr-defined]
    answer = read_top_logprobs(top, k=20)
    assert isinstance(answer, Grade)
    assert not answer.censored
    assert answer.logit == pytest.approx(math.log(sum(yes) / sum(no)), abs=1e-9)
    assert answer.label_mass == pytest.approx(1 - rest, abs=1e-9)


@given(st.floats(0.5, 0.98), st.sampled_from(["yes", "no"]), st.integers(2, 20))
def test_a_label_outside_the_list_is_bounded_by_the_least_likely_token(p: float, label: str, k: int) -> None:
    """The bound is never further from zero than the truth, whatever the unlisted label's probability."""
    least = (1 - p) / k**2
    top = [(label, math.log(p)), *((f"w{i}", math.log(least)) for i in range(k - 1))]
    answer = read_top_logprobs(top, k)
    assert isinstance(answer, Grade)
    assert answer.censored
    assert answer.logit == pytest.approx((1 if label == "yes" else -1) * math.log(p / least))
    assert answer.label_mass == pytest.approx(p + least)


def test_a_list_that_is_shorter_than_asked_bounds_nothing() -> None:
    answer = read_top_logprobs(listed(yes=0.9, Well=0.05), k=20)
    assert isinstance(answer, Unscorable)
    assert answer.reason == LABELS_MISSING


def test_servers_marks_for_unlikely_bound_nothing_either() -> None:
    """An engine that masks all but one token writes -9999 for the rest: no measurement of the other label."""
    masked = [("yes", 0.0), ("no", -9999.0), *((f"w{i}", -9999.0) for i in range(18))]
    answer = read_top_logprobs(masked, k=20)
    assert isinstance(answer, Unscorable)
    assert answer.reason == LABELS_MISSING


@pytest.mark.parametrize("k", [0, 2, 20])
def test_neither_label_is_never_a_number(k: int) -> None:
    answer = read_top_logprobs(listed(Well=0.6, Maybe=0.3), k)
    assert isinstance(answer, Unscorable)
    assert (answer.reason, answer.transient) == (LABELS_MISSING, False)


def test_an_empty_list_misses_its_labels() -> None:
    answer = read_top_logprobs([], 20)
    assert isinstance(answer, Unscorable)
    assert answer.reason == LABELS_MISSING


def test_mass_below_the_floor_is_unscorable_and_the_floor_is_configurable() -> None:
    top = listed(yes=0.3, no=0.1, Well=0.5)
    answer = read_top_logprobs(top, k=3)
    assert isinstance(answer, Unscorable)
    assert answer.reason == LABEL_MASS_LOW
    lenient = read_top_logprobs(top, k=3, floor=0.35)
    assert isinstance(lenient, Grade)
    assert lenient.label_mass == pytest.approx(0.4)
    assert DEFAULT_LABEL_MASS_FLOOR == 0.5


@given(st.sampled_from([math.nan, math.inf, -math.inf, 0.5, 3.0]), st.integers(0, 2))
def test_what_is_no_log_probability_is_malformed(bad: float, where: int) -> None:
    top = listed(yes=0.6, no=0.3)
    top.insert(where, ("word", bad))
    answer = read_top_logprobs(top, k=3)
    assert isinstance(answer, Unscorable)
    assert answer.reason == MALFORMED_ANSWER


def test_probabilities_that_sum_to_more_than_one_are_malformed() -> None:
    """Raw scores that happen to be negative are caught here."""
    answer = read_top_logprobs([("yes", -0.1), ("no", -0.2), ("Well", -0.3)], k=3)
    assert isinstance(answer, Unscorable)
    assert answer.reason == MALFORMED_ANSWER


def test_rounding_just_above_zero_is_accepted() -> None:
    answer = read_top_logprobs([("yes", 1e-6), ("no", -12.0), ("Well", -13.0)], k=3)
    assert isinstance(answer, Grade)
    assert answer.logit == pytest.approx(12.0)
    assert answer.label_mass == 1.0


@given(
    st.lists(st.tuples(st.sampled_from([*YES, *NO, "Well", "<think>"]), st.floats(-10000, 0)), max_size=20),
    st.integers(0, 20),
)
def test_any_list_gives_a_finite_grade_or_a_reason(top: list[tuple[str, float]], k: int) -> None:
    answer = read_top_logprobs(top, k)
    if isinstance(answer, Grade):
        assert math.isfinite(answer.logit)
        assert 0.5 <= (answer.label_mass or 0) <= 1
    else:
        assert answer.reason in {LABELS_MISSING, LABEL_MASS_LOW, MALFORMED_ANSWER}
        assert answer.detail
