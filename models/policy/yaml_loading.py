"""YAML text to plain values, strictly: no duplicate keys, no keys that YAML turns into something else, no blow-ups.

Works on the parsed node graph, so that every key keeps its line and a shared anchor is counted each time it is used.
Knows nothing of policies.
"""

from __future__ import annotations

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from models.policy.entries import described
from models.policy.problems import Path, Problems, shortened

MAX_BYTES = 2 << 20
MAX_VALUES = 100_000  # after aliases are expanded
MAX_DEPTH = 32

_Loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


def load_yaml(text: str, problems: Problems) -> object:
    """The document as dicts, lists and scalars. What is wrong goes to ``problems``; a document without form is None."""
    if len(text) > MAX_BYTES:
        problems.add((), f"the file has {len(text):,} characters; a policy has at most {MAX_BYTES:,}")
        return None
    try:
        if _too_deep(text):
            problems.add((), f"nested deeper than {MAX_DEPTH} levels")
            return None
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        problems.add((), _syntax(error))
    except yaml.YAMLError as error:
        problems.add((), f"not YAML: {' '.join(str(error).split())}")
    except UnicodeError:
        problems.add((), "not YAML: the text has a lone surrogate, which is no character; remove it")
    else:
        value = None if root is None else _Builder(problems).build(root, ())
        if value is None and not problems:
            problems.add((), "the file is empty; a policy is a mapping with prompt_template, completion_classes, ...")
        return value
    return None


def _too_deep(text: str) -> bool:
    """Asked before composing, which recurses: on deep text it overflows the C stack and takes the process with it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
    return False


def _syntax(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    remedy = "; indent with spaces, not tabs" if "'\\t'" in said else ""
    return f"not YAML: {where}{said}{remedy}"


class _Builder:
    """Builds values from nodes, with a budget for how much there may be."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._scalars = yaml.constructor.SafeConstructor()
        self._left = MAX_VALUES
        self._open: list[Node] = []

    def build(self, node: Node, path: Path) -> object:
        self._left -= 1
        if self._left < 0:
            if self._left == -1:
                self._problems.add(path, f"aliases expand the file to more than {MAX_VALUES:,} values; write them out")
            return None
        if any(node is ancestor for ancestor in self._open):
            self._problems.add(path, "an alias refers to the mapping or list that it stands in")
            return None
        if len(self._open) == MAX_DEPTH:  # aliases can nest deeper than the text does
            self._problems.add(path, f"nested deeper than {MAX_DEPTH} levels")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            return self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        finally:
            self._open.pop()

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self._problems.add(path, f"cannot read {shortened(node.value)} as {node.tag}; quote it if it is text")
            return None

    def _sequence(self, node: Node, path: Path) -> list[object]:
        items = node.value if isinstance(node, SequenceNode) else []
        for i, item in enumerate(items):
            self._problems.lines.setdefault((*path, i), item.start_mark.line + 1)
        return [self.build(item, (*path, i)) for i, item in enumerate(items)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        built: dict[str, object] = {}
        merged: list[Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                merged.append(value)
            elif not isinstance(key, ScalarNode):
                self._problems.add(path, f"line {line}: a key must be plain text")
            elif key.tag != _TEXT:
                meant = described(self._scalar(key, path))
                quoted = shortened(key.value)
                self._problems.add(path, f"line {line}: YAML reads the key {quoted} as {meant}; write it in quotes")
            elif key.value in built:
                message = f"duplicate key, again on line {line}; keep one"
                self._problems.add((*path, key.value), message)
            else:
                self._problems.lines.setdefault((*path, key.value), line)
                built[key.value] = self.build(value, (*path, key.value))
        for value in merged:
            self._merge(built, value, path)
        return built

    def _merge(self, built: dict[str, object], node: Node, path: Path) -> None:
        """``<<: *shared``: keys that are not there already, the first of several mappings first."""
        value = self.build(node, path)
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                self._problems.add(path, "`<<` merges mappings only")
                return
            for key, shared in mapping.items():
                built.setdefault(key, shared)
