"""Seal what is kept where others may read it: configs of a Swarm are readable on every manager."""

import base64
import hashlib
import zlib
from pathlib import Path

from roas.errors import SettingsError, cannot_read, correct_setting
from roas.extras import SWARM, load
from roas.messages.message import said

END_OF_NAME = b"\0"
LEAST_CHARACTERS = 32


class UnsealedError(Exception):
    """What was read was not sealed by this key, or for another name."""


class Seal:
    """Compress and encrypt (Fernet: AES and HMAC), each text for one name."""

    def __init__(self, secret: bytes) -> None:
        """Make the key of a secret. Raises SettingsError where nothing is installed that encrypts."""
        fernet = load(SWARM, SettingsError)
        self._invalid = fernet.InvalidToken
        key = hashlib.sha256(b"roas state\0" + secret).digest()
        self._cipher = fernet.Fernet(base64.urlsafe_b64encode(key))

    @classmethod
    def read(cls, path: Path) -> "Seal":
        """Return the seal whose key is a file's. Raises SettingsError."""
        hint = said("Make one by `openssl rand -base64 32 | docker secret create roas_state_key -`.")
        try:
            secret = path.read_bytes().strip()
        except OSError as error:
            raise SettingsError(cannot_read(path, error), hint=correct_setting("SWARM_STATE_KEY_FILE")) from error
        if len(secret) < LEAST_CHARACTERS:
            text = said(
                "The key in SWARM_STATE_KEY_FILE has {count} {count|character|characters}; it needs {least}.",
                count=len(secret),
                least=LEAST_CHARACTERS,
            )
            raise SettingsError(text, hint=hint)
        return cls(secret)

    def close(self, name: str, text: bytes) -> bytes:
        """Return a text sealed for a name."""
        return bytes(self._cipher.encrypt(name.encode() + END_OF_NAME + zlib.compress(text)))

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return the text that was sealed for a name. Raises UnsealedError."""
        try:
            found, _, text = bytes(self._cipher.decrypt(sealed)).partition(END_OF_NAME)
        except self._invalid as error:
            raise UnsealedError(name) from error
        if found != name.encode():
            raise UnsealedError(name)
        return zlib.decompress(text)
