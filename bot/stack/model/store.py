"""Keep the pinned models of releases: files of their own, since they hold every secret of a stack."""

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from roas.errors import ReleaseNotRestorableError, StateFolderError
from roas.messages.message import said
from roas.shortages import find_shortage
from roas.stack.model.text import read_model, write_model

FOLDER_MODE = 0o700
FILE_MODE = 0o600
HOLDERS = ".held"
REMEMBERED = 16
HASH_PATTERN = re.compile(r"[0-9a-f]{64}")
MODELS = "models"


def is_kept_model(path: Path) -> bool:
    """Return whether a file is a model of a release: Compose notes it on what it makes, as it would a stack's own."""
    return path.parent.name == MODELS and path.suffix == ".yml" and HASH_PATTERN.fullmatch(path.stem) is not None


class ModelStore:
    """Keep each model once, in a file named by the hash of its text; `learn` hears of each, which holds secrets."""

    def __init__(self, folder: Path, learn: Callable[[Mapping[str, Any]], None] = lambda _: None) -> None:
        self._folder = folder
        self._learn = learn
        # A model is named by its content, so what was read once stays true; reading 50 services takes 50 ms.
        self._read: dict[str, Mapping[str, Any]] = {}
        self._reading = threading.Lock()

    def path(self, model_hash: str) -> Path:
        """Return the file of a model."""
        if not HASH_PATTERN.fullmatch(model_hash):
            raise _gone(model_hash)
        return self._folder / f"{model_hash}.yml"

    def existing(self, model_hash: str) -> Path:
        """Return the file of a model that is kept. Raises ReleaseNotRestorableError."""
        path = self.path(model_hash)
        try:
            path.stat()
        except FileNotFoundError as error:
            raise _gone(model_hash) from error
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return path

    def save(self, model: Mapping[str, Any]) -> str:
        """Keep a model and return its hash."""
        self._learn(model)
        text = write_model(model).encode()
        model_hash = hashlib.sha256(text).hexdigest()
        try:
            self._write(self.path(model_hash), text)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return model_hash

    def _write(self, path: Path, text: bytes) -> None:
        if not path.is_file():
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            temporary = self._folder / f".new-{secrets.token_hex(8)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)

    def load(self, model_hash: str) -> Mapping[str, Any]:
        """Return a model, which all who load it share and nobody changes. Raises ReleaseNotRestorableError."""
        path = self.existing(model_hash)
        with self._reading:
            model = self._read.pop(model_hash, None)
            if model is None:
                model = self._load(path, model_hash)
            self._read[model_hash] = model  # the last one used is the last one dropped
            while len(self._read) > REMEMBERED:
                self._read.pop(next(iter(self._read)))
        return model

    def _load(self, path: Path, model_hash: str) -> Mapping[str, Any]:
        try:
            model = read_model(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise _gone(model_hash) from error
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._learn(model)
        return model

    def add_reference(self, model_hash: str, holder: str) -> None:
        """Record that a holder needs a model, so that it is not removed."""
        holders = self._holders(model_hash)
        try:
            holders.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            (holders / holder).touch(mode=FILE_MODE)
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def held_by(self, owner: str) -> frozenset[int]:
        """Return the numbers of the releases of a project, on one host where it is on many, that hold a model."""
        label = re.compile(rf"{re.escape(owner)}-r(\d+)")
        holders = (label.fullmatch(holder.name) for holder in self._folder.glob(f"*{HOLDERS}/*"))
        return frozenset(int(match[1]) for match in holders if match)

    def remove_reference(self, model_hash: str, holder: str, needed: Container[str] = ()) -> None:
        """Record that a model is no longer needed here, and remove it where it is needed nowhere else."""
        holders = self._holders(model_hash)
        (holders / holder).unlink(missing_ok=True)
        with suppress(OSError):  # others hold it still
            holders.rmdir()
        if not holders.is_dir() and model_hash not in needed:
            self.path(model_hash).unlink(missing_ok=True)

    def clear(self, older_than_seconds: float, needed: Container[str] = ()) -> None:
        """Remove the models that no release holds or needs and that are too old to be about to be held."""
        before = time.time() - older_than_seconds  # files have wall clock times
        for path in self._folder.glob("*.yml"):
            if path.stem not in needed and not self._holders(path.stem).is_dir() and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def mentions(self, name: str) -> bool:
        """Return whether any model that is kept contains a text."""
        return any(name in path.read_text(encoding="utf-8") for path in self._folder.glob("*.yml"))

    def _holders(self, model_hash: str) -> Path:
        return self.path(model_hash).with_suffix(HOLDERS)


def _unusable(folder: Path, error: OSError) -> StateFolderError:
    short = find_shortage(error)
    return StateFolderError(
        said("The state folder {folder} cannot be used: {strerror}", folder=folder, strerror=error.strerror),
        hint=short.hint if short is not None else said("The bot's user must own all that is in STATE_DIR."),
    )


def _gone(model_hash: str) -> ReleaseNotRestorableError:
    return ReleaseNotRestorableError(
        said("The model of this release ({model_hash}) is not kept any more.", model_hash=model_hash[:12]),
        hint=said("Choose another release, or deploy that version again."),
    )
