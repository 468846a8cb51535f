"""Files that an experiment is told by: written once, and refused when they would change."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sertk.config.schema import differing_keys
from sertk.core.errors import SertkError
from sertk.core.files import write_yaml
from sertk.experiments.layout import read_mapping


def store(
    path: Path, mapping: Mapping[str, Any], essence: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
) -> None:
    """Writes a mapping, or refuses if the file already holds one of another `essence`."""
    if path.exists():
        keys = differing_keys(essence(read_mapping(path)), essence(mapping))
        if keys:
            raise SertkError(
                f"{path}: this experiment has other settings ({', '.join(keys)}); "
                "give another --tag, or remove the folder"
            )
    write_yaml(path, mapping)
