"""Reads ``features:`` of a policy: per response type, the probabilities that its linear reward is a function of."""

from __future__ import annotations

from collections.abc import Mapping

from models.policy.diagrams import Diagram
from models.policy.entries import Entry
from models.policy.features import Feature, FeatureKind
from models.policy.problems import Problems
from models.policy.response_types import normalise_name
from models.policy.rules import RuleBook

REFERENCED, ALL = "referenced", "all"


def read_features(
    entry: Entry | None, book: RuleBook, diagrams: Mapping[str, Diagram], problems: Problems
) -> dict[str, tuple[Feature, ...]]:
    """For every diagram: propositions in the policy's order, then classes, best first."""
    given: dict[str, Entry] = {}
    for key, chosen in entry.mapping(what="a mapping of response types to features").items() if entry else ():
        name = normalise_name(key)
        if name not in book.response_types:
            problems.unknown(chosen.path, "response type", key, book.response_types)
        elif name in given:
            chosen.fail(f"is the response type {name!r} again; keep one")
        given[name] = chosen
    choices = {name: _read_choice(chosen, book) for name, chosen in given.items()}
    features = {}
    for name, diagram in diagrams.items():
        propositions, classes = choices.get(name, (REFERENCED, True))
        features[name] = _features(propositions, classes, book, diagram)
        if not features[name]:
            given[name].fail("leaves the response type without features; name a proposition or set `classes: true`")
    return features


def _read_choice(entry: Entry, book: RuleBook) -> tuple[str | list[str], bool]:
    what = "a mapping with `propositions` and `classes`"
    keys = entry.mapping(("propositions", "classes"), what)
    classes = keys["classes"].boolean() if "classes" in keys else True
    propositions = _read_propositions(keys["propositions"], book) if "propositions" in keys else REFERENCED
    return propositions, classes is not False


def _read_propositions(entry: Entry, book: RuleBook) -> str | list[str]:
    if isinstance(entry.value, str) and entry.value in (REFERENCED, ALL):
        return entry.value
    names: list[str] = []
    for item in entry.items(f"{REFERENCED}, {ALL} or a list of propositions"):
        name = item.text()
        if name is None:
            continue
        if name in names:
            item.fail(f"{name!r} is listed twice; keep one")
        elif name in book.derived:
            item.fail(f"{name!r} is a derived proposition; features are simple propositions, and classes by `classes`")
        elif name not in book.propositions:
            item.problems.unknown(item.path, "proposition", name, book.propositions)
        names.append(name)
    return names


def _features(propositions: str | list[str], classes: bool, book: RuleBook, diagram: Diagram) -> tuple[Feature, ...]:
    wanted = diagram.variables if propositions == REFERENCED else propositions
    chosen = [name for name in book.propositions if propositions == ALL or name in wanted]
    features = [Feature(name, FeatureKind.PROPOSITION) for name in chosen]
    return (*features, *(Feature(name, FeatureKind.CLASS) for name in diagram.classes if classes))
