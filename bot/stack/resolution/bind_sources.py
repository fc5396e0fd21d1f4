"""Find the files and folders of the host that a stack names and that do not exist, all of them at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import joined, said
from roas.stack.model.services import services_of
from roas.stack.sources.opening import is_there, resolve

# Stands for a variable without a value, where it may: in a path.
MARK = "/61874"
# What has one of these is a file: a folder that the engine creates in its place helps nobody.
FILE_SUFFIX = re.compile(
    r"\.(cfg|cnf|conf|crt|css|csv|env|html|ini|js|json|key|lua|pem|php|properties|py|rb|sh|sql|toml|txt|xml|ya?ml)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MissingSource:
    """Name what a service takes from a path that does not exist; `is_created` where Compose would make a folder."""

    service: str
    takes: str
    source: Path
    is_created: bool = False
    compose_makes_it: bool = False

    @property
    def text(self) -> str:
        """Say who takes what."""
        return said("{service} {takes} {source}", service=self.service, takes=self.takes, source=self.source)


def missing_sources(model: Mapping[str, Any], folder: Path, *, sees_host: bool) -> tuple[MissingSource, ...]:
    """Return every missing source. In a container, what lies outside of the stack's folder cannot be seen."""
    inside = resolve(folder)
    found = dict.fromkeys(
        missing_source
        for missing_source in _sources(model)
        if sees_host or resolve(missing_source.source).is_relative_to(inside)
    )
    return tuple(missing_source for missing_source in found if not is_there(missing_source.source))


def refuse_missing_sources(missing: tuple[MissingSource, ...]) -> tuple[str, ...]:
    """Return warnings of what would be created as an empty folder. Raises ComposeFileError that lists the rest."""
    fatal = [missing_source for missing_source in missing if not missing_source.is_created]
    if fatal:
        missing_text = joined("\n", (missing_source.text for missing_source in fatal))
        bound = dict.fromkeys(str(item.source) for item in fatal if item.compose_makes_it)
        hint = said("Create what is missing, or correct the compose file.")
        if bound:
            hint = said(
                "Create what is missing, or correct the compose file: `mkdir -p {paths}`.", paths=" ".join(bound)
            )
        raise ComposeFileError(
            said("These do not exist:\n{missing}", missing=missing_text),
            hint=hint,
            service=fatal[0].service if len({missing_source.service for missing_source in fatal}) == 1 else None,
        )
    return tuple(
        said("{one}, which does not exist: an empty folder is created there.", one=missing_source.text)
        for missing_source in missing
    )


def _sources(model: Mapping[str, Any]) -> Iterator[MissingSource]:
    for name, service in services_of(model).items():
        for volume in service.get("volumes") or ():
            if volume.get("type") == "bind" and volume.get("source"):
                source = Path(volume["source"])
                is_created = bool((volume.get("bind") or {}).get("create_host_path"))
                plain = FILE_SUFFIX.search(source.name) is None
                yield MissingSource(name, said("binds"), source, is_created and plain, is_created)
        for kind in ("secrets", "configs"):
            for entry in service.get(kind) or ():
                key = str(entry.get("source"))
                definition = (model.get(kind) or {}).get(key) or {}
                if definition.get("file"):
                    yield MissingSource(
                        name, said("takes the {kind} {key} from", kind=kind[:-1], key=key), Path(definition["file"])
                    )


def marked_sources(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield what takes something from a path that has the mark in it, which stands for a variable without a value."""
    for missing_source in _sources(model):
        if MARK in str(missing_source.source):
            yield missing_source.service
    for name, volume in (model.get("volumes") or {}).items():
        if MARK in str(((volume or {}).get("driver_opts") or {}).get("device")):
            yield str(name)


def refuse_marked_sources(model: Mapping[str, Any], variable: str) -> None:
    """Raise ComposeFileError where any path has the mark in it, which stands for a variable."""
    if named := next(marked_sources(model), None):
        raise ComposeFileError(
            said("`{place}` needs {variable}, which is not set.", place=named, variable=variable),
            hint=said("Set {variable} in the stack's .env.", variable=variable),
        )
