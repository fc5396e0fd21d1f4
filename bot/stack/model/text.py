"""Read and write compose models as YAML, so that nothing is interpolated twice and no value changes its type."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from roas.errors import ComposeFileError
from roas.messages.message import said

# What YAML 1.1 knows and Compose does not write: `=` is a text there, and so is a date.
LONGEST_NUMBER = 80
# No stack has as many mappings and lists in each other.
MOST_DEPTH = 100
# Compose writes sizes as texts, and takes a negative one (`memswap_limit: -1`: without limit) for a number only.
SIZES = ("mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "shm_size")
NEGATIVE = re.compile(r"-\d+")
# The head of a block whose indentation is said, since its text begins with a space or a line break.
BEGINS_BLANK = re.compile(r"[|>][-+]?\d[-+]?$", re.MULTILINE)
LEFT_ALONE = {"tag:yaml.org,2002:value", "tag:yaml.org,2002:timestamp"}


class _Loader(yaml.CSafeLoader):
    """Read what Compose writes."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in LEFT_ALONE]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _number(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    """Read a number that is one for Compose, too: `12:30` is a text there, and nobody writes a thousand digits."""
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, said("a number is too long"), node.start_mark)
    text = str(node.value)
    if ":" in text:
        return text
    if len(text) > LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(None, None, said("a number is too long"), node.start_mark)
    return loader.construct_yaml_int(node) if node.tag.endswith(":int") else loader.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _number)


class _Dumper(yaml.CSafeDumper):
    """Quote every text: Compose reads another YAML, in which a bare `1e3` is a number."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out: what is shared here is not shared there."""
        return True


def _quoted(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def read_resolved(text: str) -> dict[str, Any]:
    """Read what `config` printed. It doubles every `$`, keys included, so that it could be interpolated again.

    Raises ComposeFileError, also for what is nested too deeply for whoever walks over it.
    """
    model = read_yaml(text.replace("$$", "$"))
    if _is_deep(model):
        raise ComposeFileError(said("The model cannot be read: {error}", error=said("it does not parse")))
    for service in (model.get("services") or {}).values():
        for fields in (service, service.get("build")) if isinstance(service, dict) else ():
            if isinstance(fields, dict):
                fields.update({name: int(fields[name]) for name in SIZES if _is_negative(fields.get(name))})
    return model


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            item
            for entry in level
            if isinstance(entry, dict | list)
            for item in (entry.values() if isinstance(entry, dict) else entry)
        ]
    return bool(level)


def may_miss_breaks(text: str) -> bool:
    """Return whether `config` printed a text that begins with a space or a line break: of breaks it loses the first."""
    return BEGINS_BLANK.search(text) is not None


def with_exact_texts(model: dict[str, Any], printed: str) -> dict[str, Any]:
    """Take the texts of a model from `config --format json`, which loses none. Raises ComposeFileError."""
    try:
        exact = json.loads(printed.replace("$$", "$"))
    except ValueError as error:
        raise ComposeFileError(said("The model cannot be read: {error}", error=said("it does not parse"))) from error
    found = _exact(model, exact)
    return found if isinstance(found, dict) else model


def _exact(value: object, exact: object) -> object:
    """Take each text from the place that it has in both; the rest is the YAML's."""
    if isinstance(value, str) and isinstance(exact, str):
        return exact
    if isinstance(value, dict) and isinstance(exact, dict):
        return {key: _exact(item, exact.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(exact, list) and len(value) == len(exact):
        return [_exact(item, other) for item, other in zip(value, exact, strict=True)]
    return value


def _is_negative(size: object) -> bool:
    return isinstance(size, str) and NEGATIVE.fullmatch(size) is not None


def read_yaml(text: str) -> dict[str, Any]:
    """Read a YAML mapping. Raises ComposeFileError."""
    try:
        model = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError, RecursionError, OverflowError) as error:
        # Beside its own errors the library lets through what its conversions raise, such as of `!!int x`.
        raise ComposeFileError(said("The model cannot be read: {error}", error=_place(error))) from error
    if not isinstance(model, dict):
        raise ComposeFileError(said("The model cannot be read: {error}", error=said("it does not parse")))
    return model


def write_model(model: Mapping[str, Any]) -> str:
    """Write a model that Compose reads as it is: every `$` of a value doubled; keys are not interpolated."""
    return yaml.dump(_doubled(model), Dumper=_Dumper, sort_keys=True, width=4096)


def read_model(text: str) -> dict[str, Any]:
    """Read what write_model wrote."""
    halved = _halved(read_yaml(text))
    if not isinstance(halved, dict):  # read_yaml gives mappings only
        raise ComposeFileError(said("The model cannot be read: {error}", error=said("it does not parse")))
    return halved


def _doubled(value: object) -> object:
    return _replaced(value, "$", "$$")


def _halved(value: object) -> object:
    return _replaced(value, "$$", "$")


def _replaced(value: object, old: str, new: str) -> object:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, Mapping):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, old, new) for item in value]
    return value


def _place(error: Exception) -> str:
    """Describe where YAML is malformed, without quoting it: it may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or said("it does not parse")
    return problem if mark is None else said("line {line}: {problem}", line=mark.line + 1, problem=problem)
