"""Random rules: derived propositions over simple ones and each other, and classes that do or do not partition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from hypothesis import strategies as st

from models.policy import CompletionClass, Condition, DerivedProposition, Diagram, compile_diagram


@dataclass(frozen=True)
class Rules:
    """The rules of a response type before they are compiled, and their meaning spelled out."""

    variables: tuple[str, ...]
    derived: dict[str, DerivedProposition]
    classes: tuple[CompletionClass, ...]

    def compile(self) -> Diagram:
        return compile_diagram(self.classes, self.derived, self.variables)

    def holds(self, rule: tuple[Condition, ...], truth: dict[str, bool]) -> bool:
        return all(self._is_true(condition.proposition, truth) is condition.value for condition in rule)

    def holding(self, truth: dict[str, bool]) -> list[int]:
        return [c for c, each in enumerate(self.classes) if self.holds(each.rule, truth)]

    def assignments(self, variables: tuple[str, ...]) -> list[dict[str, bool]]:
        return [dict(zip(variables, values, strict=True)) for values in product([False, True], repeat=len(variables))]

    def _is_true(self, name: str, truth: dict[str, bool]) -> bool:
        return self.holds(self.derived[name].rule, truth) if name in self.derived else truth[name]


def rule_over(names: list[str]) -> st.SearchStrategy[tuple[Condition, ...]]:
    chosen = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)
    return chosen.flatmap(lambda picked: st.tuples(*(st.builds(Condition, st.just(n), st.booleans()) for n in picked)))


@st.composite
def any_rules(draw: st.DrawFn, max_propositions: int = 7) -> Rules:
    """Classes with rules at random: overlaps and gaps are usual."""
    variables, derived, names = _definitions(draw, max_propositions)
    rules = draw(st.lists(rule_over(names), min_size=1, max_size=5))
    return Rules(variables, derived, tuple(CompletionClass(f"class_{k}", k, rule) for k, rule in enumerate(rules)))


@st.composite
def partitions(draw: st.DrawFn, max_propositions: int = 7) -> Rules:
    """A decision list: class k holds where its own condition does and none before it did; the last takes the rest."""
    variables, derived, names = _definitions(draw, max_propositions)
    conditions = draw(st.lists(rule_over(names), min_size=1, max_size=4))
    classes, earlier = [], ()
    for k, rule in enumerate(conditions):
        derived[f"condition_{k}"] = DerivedProposition(f"condition_{k}", rule)
        classes.append(CompletionClass(f"class_{k}", k, (*earlier, Condition(f"condition_{k}", True))))
        earlier = (*earlier, Condition(f"condition_{k}", False))
    classes.append(CompletionClass("rest", len(classes), earlier))
    return Rules(variables, derived, tuple(classes))


def _definitions(
    draw: st.DrawFn, max_propositions: int
) -> tuple[tuple[str, ...], dict[str, DerivedProposition], list[str]]:
    variables = tuple(f"p{i}" for i in range(draw(st.integers(1, max_propositions))))
    names = list(variables)
    derived = {}
    for k in range(draw(st.integers(0, 5))):
        derived[f"d{k}"] = DerivedProposition(f"d{k}", draw(rule_over(names)))
        names.append(f"d{k}")
    return variables, derived, names
