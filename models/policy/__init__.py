"""Policies: what is asked about a completion and how the answers become a verdict."""

from models.policy.checking import PolicyReport, ResponseTypeReport, check_policy
from models.policy.completion_classes import CompletionClass
from models.policy.coverage import Counterexample, Coverage
from models.policy.diagrams import Diagram, ProbabilityForm, compile_diagram
from models.policy.features import Feature, FeatureKind
from models.policy.policy import CombinationSpec, ContentCategory, OnUnscorable, Policy, PromptOrder, Template
from models.policy.propositions import Aggregation, Condition, DerivedProposition, Proposition, Subject, View
from models.policy.reading import load_policy, read_policy
from models.policy.response_types import ResponseType, normalise_name
from models.policy.sources import packaged_policies

__all__ = [
    "Aggregation",
    "CombinationSpec",
    "CompletionClass",
    "Condition",
    "ContentCategory",
    "Counterexample",
    "Coverage",
    "DerivedProposition",
    "Diagram",
    "Feature",
    "FeatureKind",
    "OnUnscorable",
    "Policy",
    "PolicyReport",
    "ProbabilityForm",
    "PromptOrder",
    "Proposition",
    "ResponseType",
    "ResponseTypeReport",
    "Subject",
    "Template",
    "View",
    "check_policy",
    "compile_diagram",
    "load_policy",
    "normalise_name",
    "packaged_policies",
    "read_policy",
]
