from __future__ import annotations

from hypothesis import given

from models.policy import CompletionClass, Condition, compile_diagram
from tests.models.policy.strategies import any_rules


def literal(name: str, value: bool) -> Condition:
    return Condition(name, value)


@given(any_rules())
def test_counts_equal_brute_force(rules):
    diagram = rules.compile()
    held = [rules.holding(truth) for truth in rules.assignments(diagram.variables)]
    coverage = diagram.coverage()
    assert coverage.assignments == len(held)
    assert coverage.overlaps == sum(len(each) > 1 for each in held)
    assert coverage.gaps == sum(not each for each in held)
    assert coverage.partition == all(len(each) == 1 for each in held)
    assert set(coverage.never) == {each.name for c, each in enumerate(rules.classes) if not any(c in h for h in held)}


@given(any_rules())
def test_counterexamples_are_complete_and_true(rules):
    diagram = rules.compile()
    coverage = diagram.coverage()
    for found, bad in [(coverage.overlap, coverage.overlaps), (coverage.gap, coverage.gaps)]:
        assert (found is not None) == (bad > 0)
        if found is not None:
            assert tuple(found.assignment) == diagram.variables
            holding = [rules.classes[c].name for c in rules.holding(dict(found.assignment))]
            assert list(found.classes) == holding
    assert coverage.overlap is None or len(coverage.overlap.classes) > 1
    assert coverage.gap is None or not coverage.gap.classes


@given(any_rules())
def test_the_decisive_part_alone_forces_the_counterexample(rules):
    diagram = rules.compile()
    coverage = diagram.coverage()
    for found in filter(None, (coverage.overlap, coverage.gap)):
        for truth in rules.assignments(diagram.variables):
            if found.decisive.items() <= truth.items():
                assert tuple(rules.classes[c].name for c in rules.holding(truth)) == found.classes


def test_the_decisive_part_leaves_out_what_does_not_matter():
    """`a` is tested first and decides nothing about the overlap of the last two classes."""
    rules = [
        (literal("a", True), literal("b", False)),
        (literal("a", False), literal("b", False)),
        (literal("b", True),),
        (literal("b", True), literal("c", True)),
    ]
    diagram = compile_diagram([CompletionClass(str(k), k, rule) for k, rule in enumerate(rules)], {}, "abc")
    assert diagram.coverage().overlap.decisive == {"b": True, "c": True}
    assert str(diagram.coverage().overlap) == "b is true, c is true"


def test_two_hundred_propositions_are_counted_exactly():
    """One class is "all true", the other "the first is false": the rest, all but 2^199 + 1 assignments, is a gap."""
    names = [f"p{i}" for i in range(200)]
    all_true = CompletionClass("all", 0, tuple(literal(name, True) for name in names))
    first_false = CompletionClass("first", 1, (literal("p0", False),))
    coverage = compile_diagram([all_true, first_false], {}, names).coverage()
    assert coverage.assignments == 2**200
    assert coverage.overlaps == 0
    assert coverage.gaps == 2**199 - 1
    assert coverage.counterexample is not None
    assert len(coverage.counterexample) == 200
    assert coverage.gap.decisive == {"p0": True, "p1": False}
