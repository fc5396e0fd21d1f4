"""Take all that one service's image is built from: contexts, Dockerfile and secrets."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from roas.errors import ComposeFileError, unreadable_file
from roas.messages.message import said
from roas.stack.sources.build_context import BuildContext, IgnoreRules
from roas.stack.sources.opening import read_regular, resolve
from roas.stack.sources.withheld import Withheld

MOST_BYTES = 4 << 20
CONTEXT, DOCKERFILE, SECRET = "context", "dockerfile", "secret"
IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True, slots=True)
class BuildSources:
    """Know one `build` section, and what it may be built from: the stack's folder, unless the policy allows more.

    What no stack is given is never taken. Secrets are hashed with a key, so that nobody can guess them from the hash.
    """

    build: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)
    key: bytes = field(repr=False)
    folder: Path
    withheld: Withheld
    may_leave: bool
    may_bind: Callable[[Path], bool]

    def digest(self) -> str:
        """Hash all of it, without a copy. Raises ComposeFileError."""
        return self.copy(None)[0]

    def copy(self, target: Path | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Copy all of it; returns its hash, and the section and the secrets that name the copy.

        Raises ComposeFileError.
        """
        try:
            return self._copy(target)
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> ComposeFileError:
        context = Path(str(self.build.get("context") or "/"))
        if context.is_absolute() and not context.exists():
            return ComposeFileError(
                said("There is no folder {context} to build from.", context=context),
                hint=said(
                    "Get it (`git submodule update --init`, where it is one). Where the image is to "
                    "be pulled, write `build: !reset null` for the service in compose.override.yaml."
                ),
            )
        return unreadable_file(error.filename or context, error)

    def _copy(self, target: Path | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
        section = dict(self.build)
        hashes: dict[str, str] = {}
        context = str(section.get("context") or "")
        if context.startswith("/"):
            root = self._inside(Path(context))
            kept = self._take_dockerfile(root, section, hashes, target)
            text = self._ignore_text(root, Path(context) / str(self.build.get("dockerfile") or "Dockerfile"))
            hashes[CONTEXT] = self._context(root, text, kept).take(_place(target, CONTEXT))
            section["context"] = str(_place(target, CONTEXT))
        named = dict(section.get("additional_contexts") or {})
        for index, (name, source) in enumerate(sorted(named.items())):
            if str(source).startswith("/"):
                root, place = self._inside(Path(source)), _place(target, f"{CONTEXT}-{index}")
                hashes[f"{CONTEXT} {name}"] = self._context(root, self._ignore_text(root), frozenset()).take(place)
                named[name] = str(place)
        if named:
            section["additional_contexts"] = named
        secrets = self._take_secrets(hashes, target)
        covered = json.dumps(hashes, sort_keys=True).encode()
        return hashlib.sha256(covered).hexdigest(), section, secrets

    def _context(self, root: Path, ignored: str, kept: frozenset[PurePosixPath]) -> BuildContext:
        """Load what reads a context, by the Docker SDK's patterns, only where something is built."""
        return BuildContext(root, self.folder, IgnoreRules(ignored, kept), self.withheld)

    def _inside(self, path: Path) -> Path:
        """Return where a path leads: into the stack's folder, whatever became of it since it was judged."""
        resolved = resolve(path)
        if not resolved.is_relative_to(self.folder) and not self.may_leave:
            raise ComposeFileError(said("{path} leads out of the stack's folder.", path=path))
        self.withheld.refuse(resolved)
        return resolved

    def _take_dockerfile(
        self, root: Path, section: dict[str, Any], hashes: dict[str, str], target: Path | None
    ) -> frozenset[PurePosixPath]:
        """Take a Dockerfile that is outside of its context, or a link; return what of the context is kept for it."""
        if section.get("dockerfile_inline"):
            return frozenset({PurePosixPath(IGNORE_FILE)})
        written = Path(str(self.build["context"])) / str(section.get("dockerfile") or "Dockerfile")
        resolved = self._inside(written)
        if resolved.is_relative_to(root) and resolve(written.parent) / written.name == resolved:
            name = PurePosixPath(resolved.relative_to(root))
            section["dockerfile"] = str(name)
            return frozenset({name, PurePosixPath(f"{name}{IGNORE_FILE}"), PurePosixPath(IGNORE_FILE)})
        content = self._read(resolved)
        if content is None:
            raise ComposeFileError(said("There is no such file: {names}.", names=written))
        hashes[DOCKERFILE] = hashlib.sha256(content).hexdigest()
        place = _place(target, DOCKERFILE)
        if place is not None:
            place.mkdir(parents=True)
            (place / written.name).write_bytes(content)
            own = self._read(written.with_name(f"{written.name}{IGNORE_FILE}"))
            if own is not None:
                (place / f"{written.name}{IGNORE_FILE}").write_bytes(own)
            section["dockerfile"] = str(place / written.name)
        return frozenset({PurePosixPath(IGNORE_FILE)})

    def _ignore_text(self, root: Path, dockerfile: Path | None = None) -> str:
        """Return the rules of a context: those beside the Dockerfile win over those of the context."""
        own = self._read(dockerfile.with_name(f"{dockerfile.name}{IGNORE_FILE}")) if dockerfile else None
        found = own if own is not None else self._read(root / IGNORE_FILE)
        return (found or b"").decode(errors="replace")

    def _take_secrets(self, hashes: dict[str, str], target: Path | None) -> dict[str, Any]:
        secrets = {name: dict(definition or {}) for name, definition in self.secrets.items()}
        names = [str(entry["source"]) for entry in self.build.get("secrets") or ()]
        for index, name in enumerate(sorted(set(names))):
            source = secrets.get(name, {}).get("file")
            if source and (content := self._read(Path(source), may_leave=self.may_bind)) is not None:
                hashes[f"{SECRET} {name}"] = hmac.digest(self.key, content, "sha256").hex()
                if target is not None:
                    place = target / f"{SECRET}-{index}"
                    place.write_bytes(content)
                    secrets[name]["file"] = str(place)
        return {name: secrets[name] for name in names if name in secrets}

    def _read(self, path: Path, *, may_leave: Callable[[Path], bool] | None = None) -> bytes | None:
        """Return what a file holds; nothing where there is none, or where it is not the stack's to read."""
        resolved = resolve(path)
        may_be_outside = may_leave(resolved) if may_leave else self.may_leave
        if not may_be_outside and not resolved.is_relative_to(self.folder):
            return None
        try:
            content = read_regular(path, resolved, self.folder, MOST_BYTES)[1]
        except (FileNotFoundError, NotADirectoryError):
            return None
        self.withheld.refuse(resolved, content)
        return content


def _place(target: Path | None, name: str) -> Path | None:
    return target / name if target is not None else None
