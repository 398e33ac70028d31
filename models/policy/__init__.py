"""Policies: what is asked about a completion and how the answers become a verdict."""

from models.policy.completion_classes import CompletionClass
from models.policy.diagrams import Diagram
from models.policy.features import Feature, FeatureKind
from models.policy.policy import CombinationSpec, ContentCategory, OnUnscorable, Policy, PromptOrder, Template
from models.policy.propositions import Aggregation, Condition, DerivedProposition, Proposition, Subject, View
from models.policy.response_types import ResponseType, normalise_name

__all__ = [
    "Aggregation",
    "CombinationSpec",
    "CompletionClass",
    "Condition",
    "ContentCategory",
    "DerivedProposition",
    "Diagram",
    "Feature",
    "FeatureKind",
    "OnUnscorable",
    "Policy",
    "PromptOrder",
    "Proposition",
    "ResponseType",
    "Subject",
    "Template",
    "View",
    "normalise_name",
]
