"""The key by which secrets are hashed, so that a hash tells only whether a secret is still the same."""

import os
import secrets
from pathlib import Path

from roas.shortages import unusable_state

KEY_BYTES = 32
MODE = 0o600


class SecretKey:
    """Keep one key in the bot's state, made when it is first needed; without a state it is forgotten in the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = b""

    def read(self) -> bytes:
        """Return the key. Raises EngineError where the state cannot be read or written."""
        if not self._known:
            try:
                self._known = self._load()
            except OSError as error:
                raise unusable_state(error) from error
        return self._known

    def _load(self) -> bytes:
        made = secrets.token_bytes(KEY_BYTES)
        if not self._path.parent.is_dir():
            return made
        temporary = self._path.with_name(f".{self._path.name}-{secrets.token_hex(8)}")
        if not self._path.exists():
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, self._path)  # whoever is first decides
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return self._path.read_bytes()
