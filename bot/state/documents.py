"""Turn the plain data of `bot.models` into JSON documents and back; unknown keys of a newer version are ignored."""

from typing import Any, TypeVar

from pydantic import TypeAdapter

Model = TypeVar("Model")


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(model: type) -> TypeAdapter[Any]:
    """Build an adapter once per class; building one costs milliseconds."""
    if model not in _ADAPTERS:
        _ADAPTERS[model] = TypeAdapter(model)
    return _ADAPTERS[model]


def to_json(value: Any) -> str:
    """Return a dataclass as a JSON document."""
    return _adapter(type(value)).dump_json(value).decode()


def from_json(model: type[Model], document: str) -> Model:
    """Read a JSON document as a dataclass."""
    result: Model = _adapter(model).validate_json(document)
    return result
