"""Find the variables that compose files cannot do without, as the Compose Specification writes them.

The files are read where they lie, so that the check can say what is missing when they cannot be resolved. So they are
not trusted: no more is read, and nothing else, than could be a compose file.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dotenv import dotenv_values

from roas.configuration.compose_yaml import Document, read_compose, values_of
from roas.errors import RoasError
from roas.stack.model.raw_files import RawFile, references_of
from roas.stack.sources.opening import read_plain, resolve

MOST_FILES = 200
MOST_BYTES = 4 << 20
# Nobody writes defaults of defaults of defaults deeper.
MOST_DEPTH = 16
LONGEST_IMAGE = 1000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
IN_TAG = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")
BRACE = re.compile(r"\$\{|\}")
OPERATORS = (":-", ":?", ":+", "-", "?", "+")


@dataclass(frozen=True, slots=True)
class Use:
    """Describe one use of a variable that has to have a value; with `not_empty` an empty one counts as none."""

    name: str
    not_empty: bool = False
    message: str = ""

    def missing(self, known: Mapping[str, str]) -> bool:
        """Return whether the variable has no value."""
        return not known.get(self.name) if self.not_empty else self.name not in known


def known_variables(env_files: Iterable[Path]) -> dict[str, str]:
    """Return what the environment files set, a later file winning; a file that cannot be read sets nothing."""
    known: dict[str, str] = {}
    for path in env_files:
        text = read_plain(path, MOST_BYTES).decode(errors="replace")
        with suppress(ValueError):
            # Without interpolation: it would read the bot's own environment.
            values = dotenv_values(stream=io.StringIO(text), interpolate=False)
            known |= {name: value for name, value in values.items() if value is not None}
    return known


def variable_uses(compose_files: Iterable[Path], known: Mapping[str, str]) -> tuple[Use, ...]:
    """Return the uses that want a value in compose files and in what they include, in the order of the text.

    A file that cannot be read or parsed has none: resolving it reports what is wrong with it.
    """
    texts = (value for document in _documents(compose_files) for value in values_of(document) if isinstance(value, str))
    return tuple(use for text in texts for use in _scan(text, known))


def images_of(compose_files: Iterable[Path]) -> tuple[tuple[str, str], ...]:
    """Return each service of the compose files, and of what they include, with its image as it is written."""
    images = ((name, fields.get("image")) for name, fields in _services(compose_files))
    return tuple((name, image) for name, image in images if isinstance(image, str) and len(image) <= LONGEST_IMAGE)


def profiles_of(compose_files: Iterable[Path]) -> dict[str, frozenset[str]]:
    """Return each service of the compose files, and of what they include, that is in profiles, with these.

    A name with a variable in it is nobody's to choose, and is left out.
    """
    found: dict[str, frozenset[str]] = {}
    for name, fields in _services(compose_files):
        profiles = fields.get("profiles")
        named = profiles if isinstance(profiles, list) else ()
        if plain := frozenset(item for item in named if isinstance(item, str) and "$" not in item):
            found[name] = found.get(name, frozenset()) | plain
    return found


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


def _services(compose_files: Iterable[Path]) -> Iterator[tuple[str, Document]]:
    for document in _documents(compose_files):
        services = document.get("services")
        for name, fields in services.items() if isinstance(services, dict) else ():
            if isinstance(fields, dict):
                yield name, fields


def _documents(compose_files: Iterable[Path]) -> Iterator[Document]:
    """Load compose files, and what they include from beside or below themselves, each once."""
    waiting, seen = [RawFile(path, path.parent) for path in compose_files], set[Path]()
    folders = {resolve(file.base) for file in waiting}
    while waiting and len(seen) < MOST_FILES:
        file = waiting.pop(0)
        if (leads_to := resolve(file.path)) in seen:
            continue
        seen.add(leads_to)
        with suppress(RoasError):
            for document in read_compose(file.path, read_plain(file.path, MOST_BYTES)):
                yield document
                waiting += islice(_included(document, file, folders), MOST_FILES)


def _included(document: Document, file: RawFile, folders: set[Path]) -> Iterator[RawFile]:
    for reference in references_of(document, file):
        with suppress(RoasError):
            included = reference.settled({}, None).file() if reference.kind == "include" else None
            if included is not None and _is_below(resolve(included.path), folders):
                yield included


def _is_below(path: Path, folders: set[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _scan(text: str, known: Mapping[str, str], depth: int = 0) -> Iterator[Use]:
    position = 0
    while (position := text.find("$", position)) >= 0:
        if text.startswith("$$", position):
            position += 2
        elif text.startswith("${", position):
            end = _closing(text, position + 2)
            yield from _braced(text[position + 2 : end], known, depth + 1) if depth < MOST_DEPTH else ()
            position = end + 1
        else:
            position += 1


def _closing(text: str, start: int) -> int:
    """Return where the brace that was opened before `start` is closed; the text's end where it is not."""
    depth = 1
    for brace in BRACE.finditer(text, start):
        depth += 1 if brace.group() == "${" else -1
        if depth == 0:
            return brace.start()
    return len(text)


def _braced(expression: str, known: Mapping[str, str], depth: int) -> Iterator[Use]:
    match = NAME.match(expression)
    if match is None:
        return
    name, rest = match.group(), expression[match.end() :]
    operator = next((candidate for candidate in OPERATORS if rest.startswith(candidate)), "")
    word, not_empty = rest[len(operator) :], operator.startswith(":")
    if operator.endswith("?"):
        yield Use(name, not_empty, word.strip())
    elif operator.endswith("-"):
        # A default is only read where the variable has no value.
        yield from _scan(word, known, depth) if Use(name, not_empty).missing(known) else ()
    elif operator.endswith("+"):
        yield from _scan(word, known, depth) if not Use(name, not_empty).missing(known) else ()
