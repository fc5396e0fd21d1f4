"""Where a stack's file is in the copy, and back: the copy has the same absolute paths below a folder of its own.

`../../..` ends at the root of the file system, however many there are. So that it ends there in the copy too, the copy
lies deeper than anybody goes up.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEPTH = 32
STEP = "_"
STEPS = re.compile(rf"(?:/{STEP}){{0,{DEPTH}}}(?=/|$)")


class PathMapping:
    """Lead from real paths to those in the copy, and back."""

    def __init__(self, base: Path) -> None:
        self.root = base.joinpath(*[STEP] * DEPTH)
        # Not as a pattern: each copy has a folder of its own, and Python keeps the last 512 patterns.
        self._base = str(base)

    def to_copy(self, path: Path) -> Path:
        """Return where the copy of an absolute path is; `..` goes up by the text, as Compose takes it."""
        return self.root / os.path.normpath(path).lstrip("/")

    def text_back(self, text: str) -> str:
        """Return a message with the real paths in it."""
        first, *others = text.split(self._base)
        return first + "".join(
            other[steps.end() :] if (steps := STEPS.match(other)) else self._base + other for other in others
        )

    def model_back(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return a resolved model with the real paths in it."""
        return {self._value(key): self._value(item) for key, item in model.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return (self.text_back(value) or "/") if value else value
        if isinstance(value, Mapping):
            return self.model_back(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return value
