"""The rows written by hand: classes as their writer meant them, every kind of row, and clean."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

import pytest

from grader.corpus import generate, generated, handwritten
from grader.corpus.prompts import CATEGORIES
from grader.corpus.rows import make_row
from models.policy import Subject, load_policy
from tests.grader.corpus.test_generating import BANNED, text_of
from tests.support import ROOT

POLICY = load_policy("safety")
NAMES = [name for name, each in POLICY.propositions.items() if each.subject is Subject.COMPLETION]


@pytest.fixture(scope="module")
def rows():
    return handwritten()


def test_there_are_rows_of_every_response_type_category_and_class(rows):
    """400 rows at least; each response type has all five classes."""
    assert len(rows) >= 400
    assert {row["category"] for row in rows} == {"none", *CATEGORIES}
    classes = Counter((row["response_type"], row["label"]) for row in rows)
    assert len(classes) == 4 * 5


def test_every_row_has_the_class_that_its_writer_meant(rows):
    slips = {row["completion"][0]["content"]: row for row in rows if row["class"] != row["label"]}
    assert slips == {}


def test_the_truths_of_every_row_fall_in_exactly_one_class(rows):
    for row in rows:
        kind = POLICY.response_types[row["response_type"]]
        truths = [[float(row["propositions"][name]) for name in kind.diagram.variables]]
        assert sorted(kind.diagram.probabilities(truths)[0]) == [0, 0, 0, 0, 1]


def test_every_proposition_occurs_true_and_false(rows):
    true = Counter(name for row in rows for name, value in row["propositions"].items() if value)
    assert set(true) == set(NAMES)
    assert min(true.values()) >= 4
    assert max(true.values()) < len(rows) * 0.6


def test_prompts_are_shared_by_several_different_completions(rows):
    by_group: dict[str, list] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    assert len(by_group) >= 100
    assert len({str(group[0]["prompt"]) for group in by_group.values()}) == len(by_group)
    for group in by_group.values():
        assert len({row["completion"][0]["content"] for row in group}) == len(group) >= 2
        assert "ideal" in {row["label"] for row in group}
        assert group[0]["prompt"][-1]["role"] == "user"


def test_no_completion_is_written_twice(rows):
    counts = Counter(row["completion"][0]["content"].lower() for row in rows)
    stock = [text for text, times in counts.items() if times > 1 and len(text) > 60]
    assert stock == []


def test_lengths_vary_from_a_word_to_a_page(rows):
    lengths = [len(row["completion"][0]["content"]) for row in rows]
    assert min(lengths) < 40
    assert max(lengths) > 800
    assert 100 < median(lengths) < 300


def test_words_alone_do_not_give_the_labels_away(rows):
    """Apologies, refusals and "we" also stand in quotations, translations and stories."""

    def confusable(pattern, *names):
        found = [row for row in rows if re.search(pattern, row["completion"][0]["content"], re.IGNORECASE)]
        return [row for row in found if not any(row["propositions"][name] for name in names)]

    assert len(confusable(r"\b(sorry|apolog\w+)\b", "apology", "apology_acknowledges_emotional_state")) >= 5
    assert len(confusable(r"\b(can't|cannot|won't)\b", "inability_to_comply")) >= 20
    assert len(confusable(r"\b(we|our)\b", "third_person")) >= 15
    assert len(confusable(r"\?", "requests_information")) >= 15


@pytest.mark.parametrize("pattern", BANNED)
def test_no_row_holds_banned_text(rows, pattern):
    banned = re.compile(pattern, re.IGNORECASE)
    assert [found for row in rows if (found := banned.findall(text_of(row)))] == []


def test_disallowed_completions_leave_out_what_could_be_used(rows):
    """Those that would instruct hold a placeholder or a vague word in its place; a few only urge."""
    disallowed = [row["completion"][0]["content"] for row in rows if row["propositions"]["disallowed_content"]]
    urging = [text for text in disallowed if not re.search(r"omitted\]|left out\)|\ba certain\b", text)]
    assert len(urging) <= 0.15 * len(disallowed)


def test_the_corpus_ends_with_the_handwritten_rows(rows):
    assert generate(0, 5) == [*generated(0, 5), *rows]


def test_a_slip_in_a_name_is_refused():
    with pytest.raises(ValueError, match="apolgy"):
        make_row("g", "none", [{"role": "user", "content": "Hi"}], "Hello", {"apolgy"})


def test_the_files_are_data_beside_the_module():
    assert len(list((ROOT / "grader" / "corpus" / "handwritten").glob("*.yaml"))) >= 6
