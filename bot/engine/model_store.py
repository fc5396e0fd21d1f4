"""Keep the pinned models of releases: files of their own, since they hold every secret of a stack."""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.engine.model_text import read_model, write_model
from bot.errors import ReleaseNotRestorableError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
HASH_PATTERN = re.compile(r"[0-9a-f]{64}")


class ModelStore:
    """Keep each model once, in a file named by the hash of its text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, model_hash: str) -> Path:
        """Return the file of a model."""
        if not HASH_PATTERN.fullmatch(model_hash):
            raise _gone(model_hash)
        return self._folder / f"{model_hash}.yml"

    def existing(self, model_hash: str) -> Path:
        """Return the file of a model that is kept. Raises ReleaseNotRestorableError."""
        path = self.path(model_hash)
        if not path.is_file():
            raise _gone(model_hash)
        return path

    def save(self, model: Mapping[str, Any]) -> str:
        """Keep a model and return its hash."""
        text = write_model(model).encode()
        model_hash = hashlib.sha256(text).hexdigest()
        path = self.path(model_hash)
        if not path.is_file():
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            temporary = self._folder / f".new-{secrets.token_hex(8)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        return model_hash

    def load(self, model_hash: str) -> dict[str, Any]:
        """Return a model. Raises ReleaseNotRestorableError where it is gone."""
        try:
            return read_model(self.existing(model_hash).read_text(encoding="utf-8"))
        except OSError as error:
            raise _gone(model_hash) from error


def _gone(model_hash: str) -> ReleaseNotRestorableError:
    return ReleaseNotRestorableError(
        f"The model of this release ({model_hash[:12]}) is not kept any more.",
        hint="Deploy the wanted version again, or choose another release.",
    )
