"""Find the variables that compose files use, as the Compose Specification writes them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
IN_TAG = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")
OPERATORS = (":-", ":?", ":+", "-", "?", "+")


@dataclass(frozen=True, slots=True)
class Use:
    """Describe one use of a variable that has no default; with `not_empty` an empty value counts as none."""

    name: str
    required: bool = False
    not_empty: bool = False
    message: str = ""

    def missing(self, known: Mapping[str, str]) -> bool:
        """Return whether the variable has no value."""
        return not known.get(self.name) if self.not_empty else self.name not in known


class _Loader(yaml.CSafeLoader):
    """Read YAML with Compose's own tags (`!reset`, `!override`)."""


def _plain(loader: yaml.CSafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _plain)


def known_variables(env_files: Iterable[Path]) -> dict[str, str]:
    """Return what the environment files set, a later file winning; a file that cannot be read sets nothing."""
    known: dict[str, str] = {}
    for path in env_files:
        if path.is_file():
            # Without interpolation: it would read the bot's own environment.
            values = dotenv_values(path, interpolate=False)
            known |= {name: value for name, value in values.items() if value is not None}
    return known


def variable_uses(compose_files: Iterable[Path], known: Mapping[str, str]) -> tuple[Use, ...]:
    """Return the uses without a default in compose files and in what they include, in the order of the text.

    A file that cannot be read or parsed has none: resolving it reports what is wrong with it.
    """
    uses: list[Use] = []
    for document in _documents(compose_files):
        for text in _texts(document):
            uses += _scan(text, known)
    return tuple(uses)


def images_of(compose_files: Iterable[Path]) -> tuple[tuple[str, str], ...]:
    """Return each service of the compose files, and of what they include, with its image as it is written."""
    found: list[tuple[str, str]] = []
    for document in _documents(compose_files):
        services = document.get("services") if isinstance(document, dict) else None
        for name, service in services.items() if isinstance(services, dict) else ():
            image = service.get("image") if isinstance(service, dict) else None
            if isinstance(image, str):
                found.append((str(name), image))
    return tuple(found)


def variables_of_images(compose_files: Iterable[Path]) -> dict[str, list[tuple[str, str]]]:
    """Return the variables in the tags of images, each with the services that have it and their images."""
    found: dict[str, list[tuple[str, str]]] = {}
    for service, image in images_of(compose_files):
        for name in dict.fromkeys(IN_TAG.findall(image[_tag_start(image) :])):
            found.setdefault(name, []).append((service, image))
    return found


def _tag_start(image: str) -> int:
    """Return where the tag begins: at the last colon outside of braces; at the text's end where there is none."""
    outside = re.sub(r"\$\{[^}]*\}", lambda match: "x" * len(match.group()), image)
    colon = outside.rfind(":")
    return colon if colon > outside.rfind("/") else len(image)


def _documents(compose_files: Iterable[Path]) -> Iterator[Any]:
    """Load compose files and what they include, each once."""
    waiting, seen = list(compose_files), set[Path]()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        document = _load(path)
        yield document
        waiting += _included(document, path.parent)


def _load(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - derived from the safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _texts(document: Any) -> Iterator[str]:
    """Walk through the values; keys are not interpolated, and comments are gone."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from _texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value)


def _included(document: Any, folder: Path) -> list[Path]:
    entries = document.get("include") if isinstance(document, dict) else None
    paths: list[Path] = []
    for entry in entries if isinstance(entries, list) else ():
        named = entry.get("path") if isinstance(entry, dict) else entry
        paths += [folder / one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str)]
    return paths


def _scan(text: str, known: Mapping[str, str]) -> Iterator[Use]:
    position = 0
    while (position := text.find("$", position)) >= 0:
        if text.startswith("$$", position):
            position += 2
        elif text.startswith("${", position):
            end = _closing(text, position + 2)
            yield from _braced(text[position + 2 : end], known)
            position = end + 1
        else:
            match = NAME.match(text, position + 1)
            if match:
                yield Use(match.group())
            position = match.end() if match else position + 1


def _closing(text: str, start: int) -> int:
    """Return where the brace that was opened before `start` is closed; the text's end where it is not."""
    depth, position = 1, start
    while position < len(text):
        if text.startswith("${", position):
            depth, position = depth + 1, position + 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return len(text)


def _braced(expression: str, known: Mapping[str, str]) -> Iterator[Use]:
    match = NAME.match(expression)
    if match is None:
        return
    name, rest = match.group(), expression[match.end() :]
    operator = next((one for one in OPERATORS if rest.startswith(one)), "")
    word, not_empty = rest[len(operator) :], operator.startswith(":")
    if operator.endswith("?"):
        yield Use(name, required=True, not_empty=not_empty, message=word.strip())
    elif operator.endswith("-"):
        # A default is only read where the variable has no value.
        yield from _scan(word, known) if Use(name, not_empty=not_empty).missing(known) else ()
    elif operator.endswith("+"):
        yield from _scan(word, known) if not Use(name, not_empty=not_empty).missing(known) else ()
    else:
        yield Use(name)
