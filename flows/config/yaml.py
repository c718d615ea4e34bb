"""YAML text → plain values, and the line each was written on.

YAML 1.2 through ruamel.yaml's node graph: `no` and `yes` are text, `1e-3` is a number, dates stay text, and a key that is
written twice is a mistake instead of a silent loss. `${NAME}` is replaced from the environment (`$${NAME}` is not). All
mistakes are collected; nothing here knows what a pipeline is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.config.problems import Fault, KeyPath, has_password, near_name, without_password

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

_TAG = "tag:yaml.org,2002:"
_VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written. `raw`: the text before variables were put in, for whoever shows it."""

    file: str
    line: int | None
    raw: str | None = None


@dataclass(slots=True)
class Tree:
    """Plain values (dict with text keys, list, str, int, float, bool, None), where they stood, and what was wrong."""

    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """The place of the value, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place("", None)

    def value(self, path: KeyPath) -> Any:
        """The value at a path, or None where there is nothing."""
        return value_at(self.data, path)


def value_at(data: Any, path: KeyPath) -> Any:
    """What plain values hold at a path of keys and indices; None where there is nothing."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(str(key))
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def read(text: str, file: str, environ: Mapping[str, str], base: KeyPath = (), one_line: bool = False) -> Tree:
    """Read one YAML document. `base` is put before every path; `one_line` leaves the line numbers out (`--set`)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    tree = Tree(places={base: Place(file, None if one_line else 1)})
    try:
        node = YAML(pure=True).compose(text)
        tree.data = None if node is None else _Reader(tree, file, environ, one_line).value(node, base)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        tree.places[base] = Place(file, None if one_line else line)
        tree.faults.append(_syntax_fault(error, base, text, line, one_line))
    except YAMLError as error:  # a character that YAML does not allow
        tree.faults.append(Fault(path=base, seen=f"not valid YAML ({' '.join(str(error).split())})"))
    except RecursionError:
        tree.faults.append(Fault(path=base, seen="nested too deeply"))
    return tree


def _syntax_fault(error: MarkedYAMLError, base: KeyPath, text: str, line: int, one_line: bool) -> Fault:
    begun = "" if one_line or error.context_mark is None else f", begun on line {error.context_mark.line + 1}:"
    said = " ".join(part for part in ((error.context or "") + begun, error.problem or "") if part)
    written = text.splitlines()[line - 1 : line]
    hint = "inside [] and {} put quotes around ${NAME}" if any(map(_VARIABLE.search, written)) else ""
    return Fault(path=base, seen=f"not valid YAML ({said})", hint=hint)


class _Reader:
    """Walks the node graph once. Aliases are copied, so that an override of one use does not change the others."""

    def __init__(self, tree: Tree, file: str, environ: Mapping[str, str], one_line: bool) -> None:
        self.tree = tree
        self.file = file
        self.environ = environ
        self.one_line = one_line
        self.open_nodes: set[int] = set()

    def value(self, node: Node, path: KeyPath) -> Any:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        self._mark(node, path)
        if id(node) in self.open_nodes:
            return self._fault(path, "an alias to something that contains it")
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def _mark(self, node: Node, path: KeyPath) -> None:
        if path not in self.tree.places:  # the line of a key counts, not that of its value
            self.tree.places[path] = Place(self.file, None if self.one_line else node.start_mark.line + 1)

    def _fault(self, path: KeyPath, seen: str, expected: str = "", hint: str = "") -> None:
        self.tree.faults.append(Fault(path=path, seen=seen, expected=expected, hint=hint))

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in self._entries(node, path):
            key = str(key_node.value)
            if isinstance(key_node.value, list):
                self._fault(path, "a key that is a list or a mapping", "a name")
            elif key not in result:
                self._mark(key_node, (*path, key))
                result[key] = self.value(value_node, (*path, key))
        return result

    def _entries(self, node: MappingNode, path: KeyPath) -> list[tuple[ScalarNode, Node]]:
        """The mapping's own entries, then those that `<<` merges in; keys written twice are reported."""
        own = [(key, value) for key, value in node.value if not key.tag.endswith(":merge")]
        lines: dict[str, int] = {}
        for key, _ in own:
            if not isinstance(key.value, list) and key.value in lines:
                first = "" if self.one_line else f", first on line {lines[key.value]}"
                at = (*path, key.value)
                self.tree.places[at] = Place(self.file, None if self.one_line else key.start_mark.line + 1)
                self._fault(at, f"the key is written twice{first}")
            elif not isinstance(key.value, list):
                lines[key.value] = key.start_mark.line + 1
        merged = [value for key, value in node.value if key.tag.endswith(":merge")]
        for value in merged:
            for each in value.value if value.tag == f"{_TAG}seq" else [value]:
                if each.tag == f"{_TAG}map":
                    own += self._entries(each, path)
                else:
                    self._fault((*path, "<<"), "not a mapping", "an alias (*name) of a mapping")
        return own

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        if has_password(node.value):
            place = self.tree.places[path]
            self.tree.places[path] = Place(place.file, place.line, without_password(node.value))
            secret = "a password does not belong into a file"
            return self._fault(
                path, without_password(node.value), hint=f"{secret}: write ${{NAME}} and set NAME outside"
            )
        text = self._expand(node.value, path)
        tag = node.tag
        if text != node.value:
            place = self.tree.places[path]
            self.tree.places[path] = Place(place.file, place.line, node.value)
            tag = _plain_tag(text) if node.style is None else tag
        if tag.startswith("!"):
            return self._fault(path, f"the tag {tag}", "a plain value")
        try:
            return _convert(tag.removeprefix(_TAG), text)
        except ValueError:  # only a tag that is written out can claim what the text is not
            return self._fault(path, f"{text!r} is no {tag.removeprefix(_TAG)}")

    def _expand(self, text: str, path: KeyPath) -> str:
        def put(match: re.Match[str]) -> str:
            escaped, name = match.groups()
            if escaped:
                return match.group()[1:]
            if name not in self.environ:
                hint = near_name(name, self.environ) or f"set it: export {name}=…"
                self._fault(path, text, f"the environment variable {name} to be set", hint)
            return self.environ.get(name, match.group())

        return _VARIABLE.sub(put, text)


def _plain_tag(text: str) -> str:
    """What a word without quotes is in YAML 1.2: text, a number, a boolean or null."""
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver

    return str(VersionedResolver().resolve(ScalarNode, text, (True, False)))


def _convert(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        digits = text.replace("_", "").lower()
        return int(digits, 0 if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)
    if kind == "float":
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
