"""Tell whether anything in a stack follows the version that is deployed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.model.raw_files import as_written

VERSION_VARIABLE = "VERSION"
# Replaces the version while the files are read once more, to see what depends on it.
OTHER_VERSION = "0.0.0-roas-other"


def version_names(environment: Environment) -> tuple[str, ...]:
    """Return the variables that are given the version: ours, and those of the stack that are mapped to it."""
    return tuple(dict.fromkeys((VERSION_VARIABLE, *environment.version_variables)))


def version_of_files(environment: Environment, contents: Mapping[Path, bytes]) -> str:
    """Return the version that the environment's own variables or env files name, for the record; empty for none.

    The stack's own variables say it before ours.
    """
    env_files = (contents.get(as_written(path), b"") for path in environment.env_files)
    text = b"\n".join(env_files).decode(errors="replace")
    for name in (*environment.version_variables, VERSION_VARIABLE):
        lines = re.findall(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=([^#\n]*)", text, re.MULTILINE)
        found = environment.variables.get(name, lines[-1].strip().strip("\"'") if lines else "")
        if found:
            return found
    return ""


def names_version(environment: Environment, contents: Mapping[Path, bytes]) -> bool:
    """Return whether any file that a stack is read from uses a variable that is given the version."""
    names = "|".join(map(re.escape, version_names(environment)))
    used = re.compile(rf"(?<!\$)\$(?:\$\$)*\{{?(?:{names})\b")
    return any(used.search(content.decode(errors="replace")) for content in contents.values())


def has_text(model: Any, text: str) -> bool:
    """Return whether a text stands anywhere in a resolved model."""
    return any(text in value for value in _texts(model))


def unfollowed_warning(version: str, environment: Environment) -> str:
    """Say that a version would be deployed that changes nothing."""
    names: Sequence[str] = version_names(environment)
    several = len(names) > 1
    text = said("{names} or {last}", names=", ".join(names[:-1]), last=names[-1]) if several else names[0]
    return said(
        "Nothing in the stack follows the version {version}: no image and no setting "
        "uses {text}. What runs afterwards is what the compose files name. `roas doctor "
        "{environment}` says how to map it.",
        version=version,
        text=text,
        environment=environment.name,
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)
