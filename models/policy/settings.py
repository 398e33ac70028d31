"""Reads what a policy says beside its rules: template, categories, defaults, combination, unscorable samples."""

from __future__ import annotations

import re
from collections.abc import Mapping

from models.policy.diagrams import ProbabilityForm
from models.policy.entries import Entry
from models.policy.policy import CombinationSpec, ContentCategory, OnUnscorable, PromptOrder, Template
from models.policy.problems import Problems
from models.policy.propositions import Proposition, Subject
from models.policy.response_types import normalise_name
from models.policy.rules import RuleBook, read_question

UNVERSIONED = "unversioned"
QUESTION, RESPONSE = "question", "response"

_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")  # `{"a": 1}` in a template's own examples is no field


class Settings:
    """Each method reads one key; what is wrong goes to ``problems`` and the default stands in for it."""

    def __init__(self, root: Mapping[str, Entry], book: RuleBook, problems: Problems) -> None:
        self._root = root
        self._book = book
        self._problems = problems

    def text(self, key: str) -> str | None:
        return self._root[key].text() if key in self._root else None

    def version(self) -> str:
        entry = self._root.get("version")
        if entry is None:
            return UNVERSIONED
        if isinstance(entry.value, int) and not isinstance(entry.value, bool):
            return str(entry.value)
        if isinstance(entry.value, float):
            entry.fail('YAML reads it as a number, in which 1.10 is 1.1; write it in quotes, such as "1.10"')
            return UNVERSIONED
        return entry.text() or UNVERSIONED

    def template(self) -> Template:
        """``{question}`` is required; ``{response}`` too, unless the policy itself says ``prompt_order:
        conversation_first``, where the response stands in the conversation already."""
        order_entry = self._root.get("prompt_order")
        order = order_entry.choice(PromptOrder) if order_entry else None
        entry = self._root.get("prompt_template")
        text = entry.text() if entry else None
        if entry and text:
            fields = set(_FIELD.findall(text))
            required = [QUESTION] if order is PromptOrder.CONVERSATION_FIRST else [QUESTION, RESPONSE]
            for field in required:
                if field not in fields:
                    entry.fail(f"has no {{{field}}}; write {{{field}}} where the grader is to read the {field}")
            for field in sorted(fields - {QUESTION, RESPONSE}):
                entry.fail(f"has an unknown field {{{field}}}; the fields are {{{QUESTION}}} and {{{RESPONSE}}}")
        return Template(text or "", order or PromptOrder.CONVERSATION_FIRST)

    def categories(self) -> tuple[ContentCategory, ...]:
        entry = self._root.get("content_categories")
        if entry is None or entry.value is None:
            return ()
        return tuple(self._category(name, each) for name, each in entry.mapping().items())

    def response_type(self, key: str) -> str | None:
        """None where the key is absent, null or wrong."""
        entry = self._root.get(key)
        return None if entry is None or entry.value is None else self._known_response_type(entry)

    def confidence(self) -> float:
        entry = self._root.get("response_type_confidence")
        number = entry.number() if entry else 0.5
        if entry and number is not None and not 0 <= number <= 1:
            entry.expected("a probability between 0 and 1")
        return 0.5 if number is None else number

    def probability_form(self) -> ProbabilityForm:
        entry = self._root.get("class_probabilities")
        return (entry.choice(ProbabilityForm) if entry else None) or ProbabilityForm.EXACT

    def combination(self) -> CombinationSpec:
        """A rule's name, or ``{rule: name, parameter: number, ...}``; what they mean is the reward's business."""
        entry = self._root.get("combination")
        if entry is None:
            return CombinationSpec()
        if isinstance(entry.value, str):
            return CombinationSpec(entry.text() or "")
        keys = entry.mapping(what="the name of a rule or a mapping with `rule`")
        if isinstance(entry.value, dict) and "rule" not in keys:
            entry.fail("has no `rule`; name the combination rule")
        rule = keys["rule"].text() if "rule" in keys else None
        parameters = {key: each.number() or 0.0 for key, each in keys.items() if key != "rule"}
        return CombinationSpec(rule or "", parameters)

    def on_unscorable(self) -> OnUnscorable:
        entry = self._root.get("on_unscorable")
        if entry is None or entry.value is None or entry.value == "null":
            return OnUnscorable()
        if entry.value == "drop_group":
            return OnUnscorable("drop_group")
        what = "null, drop_group or {value: number}"
        keys = entry.mapping(("value",), what)
        if entry.value == {}:
            entry.expected(what)
        return OnUnscorable("value", keys["value"].number() if "value" in keys else None)

    def _category(self, name: str, entry: Entry) -> ContentCategory:
        keys = entry.mapping(("question", "prompt", "response_type"), "a mapping with `question` and `response_type`")
        if name in self._book.propositions or name in self._book.derived or name in self._book.class_order:
            entry.fail(f"the name is already taken by a proposition or class; rename the category {name!r}")
        question = read_question(keys, entry) if isinstance(entry.value, dict) else ""
        if isinstance(entry.value, dict) and "response_type" not in keys:
            entry.fail("has no `response_type`; name the one for prompts of this category")
        response_type = self._known_response_type(keys["response_type"]) if "response_type" in keys else None
        return ContentCategory(name, Proposition(name, question, subject=Subject.PROMPT), response_type or "")

    def _known_response_type(self, entry: Entry) -> str | None:
        text = entry.text()
        name = normalise_name(text) if text else None
        if text and name not in self._book.response_types:
            self._problems.unknown(entry.path, "response type", text, self._book.response_types)
        return name
