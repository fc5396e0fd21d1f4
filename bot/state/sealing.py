"""Seal what is kept where others may read it: configs of a Swarm are readable on every manager."""

import hashlib
import os
import zlib
from pathlib import Path

from roas.errors import SettingsError
from roas.extras import SWARM, load
from roas.messages.message import said

NONCE_BYTES = 12
LEAST_CHARACTERS = 32


class UnsealedError(Exception):
    """What was read was not sealed by this key, or for another name."""


class Seal:
    """Compress and encrypt with AES-GCM, each text for one name."""

    def __init__(self, secret: bytes) -> None:
        self._invalid_tag = load(SWARM, SettingsError, "exceptions").InvalidTag
        ciphers = load(SWARM, SettingsError, "hazmat.primitives.ciphers.aead")
        self._cipher = ciphers.AESGCM(hashlib.sha256(b"roas state\0" + secret).digest())

    @classmethod
    def read(cls, path: Path) -> "Seal":
        """Return the seal whose key is a file's. Raises SettingsError."""
        hint = said("Make one by `openssl rand -base64 32 | docker secret create roas_state_key -`.")
        try:
            secret = path.read_bytes().strip()
        except OSError as error:
            text = said("SWARM_STATE_KEY_FILE cannot be read: {reason}", reason=f"{path}: {error.strerror}")
            raise SettingsError(text, hint=hint) from error
        if len(secret) < LEAST_CHARACTERS:
            text = said(
                "The key in SWARM_STATE_KEY_FILE has {count} characters; it needs {least}.",
                count=len(secret),
                least=LEAST_CHARACTERS,
            )
            raise SettingsError(text, hint=hint)
        return cls(secret)

    def close(self, name: str, text: bytes) -> bytes:
        """Return a text sealed for a name."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + bytes(self._cipher.encrypt(nonce, zlib.compress(text), name.encode()))

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return the text that was sealed for a name. Raises UnsealedError."""
        try:
            return zlib.decompress(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode()))
        except (self._invalid_tag, ValueError, zlib.error) as error:
            raise UnsealedError(name) from error
