"""The template language: choices from the inside out, slots, and plain text left alone."""

from __future__ import annotations

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from grader.corpus.grammar import capitalised, continued, expand


def test_choices_nest_and_may_be_empty():
    found = {expand("(a|b(|c)) d", Random(seed)) for seed in range(40)}
    assert found == {"a d", "b d", "bc d"}


def test_slots_are_filled_and_capitalised_on_request():
    assert expand("{Subject}: {subject}", Random(0), lambda name: f"the {name}") == "The subject: the subject"


def test_brackets_and_parentheses_without_a_bar_are_text():
    assert expand("[method omitted] (1986)", Random(0)) == "[method omitted] (1986)"


@given(st.text(alphabet="ab (|)[]", max_size=30), st.integers(0, 9))
def test_expansion_always_ends_and_leaves_no_choice(template, seed):
    assert re.search(r"\([^()]*\|[^()]*\)", expand(template, Random(seed))) is None


def test_a_sentence_after_a_comma_begins_small_but_i_does_not():
    assert continued("There is more.") == "there is more."
    assert continued("I can't.") == "I can't."
    assert capitalised("your request") == "Your request"
