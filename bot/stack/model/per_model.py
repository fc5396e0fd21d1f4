"""Remember what was found out about a model: a large one is asked the same for each of its services."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from roas.stack.model.store import REMEMBERED

Answer = TypeVar("Answer")


class PerModel(Generic[Answer]):
    """Answer once for each of the last models; nobody changes a model, so that an answer stays true.

    It keeps no more of them than the store does: one of 300 services takes a megabyte, with what is known of it.
    """

    def __init__(self, find: Callable[[Mapping[str, Any]], Answer]) -> None:
        self._find = find
        self._known: dict[int, tuple[Mapping[str, Any], Answer]] = {}

    def __call__(self, model: Mapping[str, Any]) -> Answer:
        """Return the answer for a model. Raises what finding it raises."""
        known = self._known.pop(id(model), None)
        if known is None or known[0] is not model:
            known = (model, self._find(model))
        self._known[id(model)] = known
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the one that was asked about longest ago
        return known[1]
