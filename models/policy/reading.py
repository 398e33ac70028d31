"""Reads a policy from YAML: OpenAI's released file as it is, or the superset that docs and `safety.yaml` show.

Every problem in the file is found in one go, each with its key path. A policy whose classes overlap or leave gaps is
refused: its probabilities would not be a distribution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from models.errors import PolicyError
from models.policy.coverage import Coverage
from models.policy.diagrams import Diagram, ProbabilityForm, compile_diagram
from models.policy.entries import Entry
from models.policy.feature_lists import read_features
from models.policy.features import Feature, FeatureKind
from models.policy.policy import Policy
from models.policy.problems import Problems, TooManyProblems
from models.policy.response_types import ResponseType
from models.policy.rules import CLASS_ORDER, CLASSES, DERIVED, PROPOSITIONS, RuleBook, read_rules
from models.policy.settings import Settings
from models.policy.sources import read_source
from models.policy.yaml_loading import load_yaml

REQUIRED: Final = ("prompt_template", CLASS_ORDER, CLASSES, PROPOSITIONS)
OPTIONAL: Final = (
    DERIVED,
    "name",
    "version",
    "prompt_order",
    "content_categories",
    "default_response_type",
    "response_type_confidence",
    "features",
    "class_probabilities",
    "combination",
    "on_unscorable",
)


@dataclass
class Examination:
    """What reading found: ``policy`` is None exactly where there are problems; ``diagrams``: what could be compiled."""

    problems: Problems = field(default_factory=Problems)
    diagrams: dict[str, Diagram] = field(default_factory=dict)
    policy: Policy | None = None


def load_policy(where: str | Path) -> Policy:
    """A packaged policy by name (``safety``) or a file by path. Raises PolicyError with every problem found."""
    source = read_source(where)
    return read_policy(source.text, source.name)


def read_policy(text: str, name: str = "policy") -> Policy:
    """``name`` is the policy's where the text gives none. Raises PolicyError with every problem found."""
    examination = examine_policy(text, name)
    if examination.policy is None:
        raise examination.problems.error(name)
    return examination.policy


def examine_policy(text: str, name: str = "policy") -> Examination:
    """Read and compile as much as can be; never raises for what the text says."""
    found = Examination()
    try:
        document = Entry(load_yaml(text, found.problems), (), found.problems)
        if document.value is not None:
            _examine(document, name, found)
    except TooManyProblems:
        found.policy = None
    return found


def _examine(document: Entry, name: str, found: Examination) -> None:
    root = document.mapping((*REQUIRED, *OPTIONAL), "a mapping with prompt_template, completion_classes, ...")
    if not isinstance(document.value, dict):
        return
    for key in REQUIRED:
        if key not in root:
            document.problems.add((key,), "is missing; a policy needs it")
    book = read_rules(root, found.problems)
    settings = Settings(root, book, found.problems)
    found.diagrams = _compile(book, settings.probability_form(), found.problems)
    features = read_features(root.get("features"), book, found.diagrams, found.problems)
    response_types = {
        each: _response_type(each, book, diagram, features[each]) for each, diagram in found.diagrams.items()
    }
    policy = Policy(
        name=settings.text("name") or name,
        version=settings.version(),
        template=settings.template(),
        propositions=book.propositions,
        categories=settings.categories(),
        response_types=response_types,
        combination=settings.combination(),
        default_response_type=settings.response_type("default_response_type"),
        response_type_confidence=settings.confidence(),
        on_unscorable=settings.on_unscorable(),
    )
    found.policy = None if found.problems else policy


def _compile(book: RuleBook, form: ProbabilityForm, problems: Problems) -> dict[str, Diagram]:
    diagrams = {}
    for name, classes in book.classes.items():
        try:
            diagrams[name] = compile_diagram(classes, book.derived, tuple(book.propositions), form)
        except PolicyError as error:
            problems.add((CLASSES, "*", name), error.message)
        else:
            _check_partition(name, diagrams[name].coverage(), book, problems)
    return diagrams


def _check_partition(name: str, coverage: Coverage, book: RuleBook, problems: Problems) -> None:
    total = f"of {coverage.assignments:,} assignments"
    if coverage.overlap:
        both = " and ".join(f"`{each}`" for each in coverage.overlap.classes)
        where = book.where[coverage.overlap.classes[0], name]
        remedy = "make their rules exclude each other"
        problems.add(where, f"{both} hold together where {coverage.overlap} ({coverage.overlaps:,} {total}); {remedy}")
    if coverage.gap:
        absent = [each for each in book.class_order if (each, name) not in book.where]
        hint = f"; {', '.join(absent)} has no rule for it" if absent else ""
        message = f"no class holds where {coverage.gap} ({coverage.gaps:,} {total}); widen a rule{hint}"
        problems.add((CLASSES, "*", name), message)


def _response_type(name: str, book: RuleBook, diagram: Diagram, features: tuple[Feature, ...]) -> ResponseType:
    wanted = {feature.name for feature in features if feature.kind is FeatureKind.PROPOSITION}
    only_features = [each for each in book.propositions if each in wanted and each not in diagram.variables]
    propositions = (*diagram.variables, *only_features)
    return ResponseType(
        name=name,
        propositions=propositions,
        classes=book.classes[name],
        features=features,
        diagram=diagram,
        proposition_fingerprints=tuple(book.propositions[each].fingerprint for each in propositions),
        rule_fingerprint=diagram.fingerprint,
    )
