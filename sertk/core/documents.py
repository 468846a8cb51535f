"""Texts in YAML and JSON as data alone, of a size and depth that can be walked through and shown."""

import json
import math
from typing import Any

import yaml

MOST_VALUES = 100_000  # of a text, each alias being all that it stands for


class _Loader(yaml.SafeLoader):
    """A SafeLoader that says where a value is none of its kind, such as the 13th month or `0x`."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"no valid {kind}", problem_mark=node.start_mark) from error


def parse_yaml(text: str, as_texts: bool = False) -> tuple[Any, yaml.Node | None]:
    """The data of a YAML text, and its nodes, which know their lines; `as_texts`: 1, yes and others are texts.

    Raises a YAMLError for what is no YAML, an alias that stands for what it is in, and too many or too deep values.
    """
    loader = (yaml.BaseLoader if as_texts else _Loader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        count_values(node, {})
        return loader.construct_document(node), node
    except RecursionError as error:
        raise yaml.YAMLError("lists or mappings too deep in each other") from error
    finally:
        loader.dispose()


def count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """How many values a node stands for; `counts` has the nodes that are known, 0 for those that it is in."""
    if counts.get(id(node)) == 0:
        raise yaml.MarkedYAMLError(problem="an alias stands for what it is in", problem_mark=node.start_mark)
    if id(node) not in counts:
        counts[id(node)] = 0
        children = []
        if isinstance(node, yaml.ScalarNode) and not is_text(node.value):
            raise yaml.MarkedYAMLError(problem="a NUL or half a character", problem_mark=node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        count = 1 + sum(count_values(child, counts) for child in children)
        if count > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST_VALUES} values", problem_mark=node.start_mark)
        counts[id(node)] = count
    return counts[id(node)]


def is_text(value: str) -> bool:
    """Whether a file and a name can hold a text: its escapes may stand for NUL, or for half of a character."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)


def parse_json(text: str | bytes) -> Any:
    """The data of a JSON text; raises ValueError for what is none or too deep, and what cannot be written."""
    try:
        data = json.loads(text, parse_constant=_finite, parse_float=_finite)
        json.dumps(data, ensure_ascii=False).encode()  # no half of a character
        return data
    except RecursionError as error:
        raise ValueError("lists or objects too deep in each other") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
