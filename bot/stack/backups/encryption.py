"""Encrypt backups in the format of age, for a key that lies in a file, and read them again.

The file is one that `age-keygen` writes. New backups are encrypted for its first key; the others are for older ones.
"""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from roas.concurrency import in_thread, start_thread
from roas.errors import BackupError, ComposeFileError, correct_setting
from roas.extras import ENCRYPTION, load
from roas.messages.message import said
from roas.stack.backups.streams import CHUNK_BYTES, Source, Target
from roas.stack.sources.opening import read_regular, resolve

# So large is a file of keys at most.
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """Hold the keys of a file, and by which name each is public: backups say for which one they are encrypted."""

    recipients: tuple[str, ...]
    identities: tuple[Any, ...] = field(repr=False)


def read_key(path: str) -> Key:
    """Read the keys of a file. Raises BackupError, which quotes nothing of it."""
    library = load(ENCRYPTION, BackupError)
    try:
        lines = (line.strip() for line in _read(path).splitlines())
        keys = [library.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except OSError as error:
        raise _no_key(path, error.strerror or str(error)) from error
    except (UnicodeDecodeError, library.IdentityError):
        raise _no_key(path, said("it has something that is no key of age")) from None
    if not keys:
        raise _no_key(path, said("it is empty"))
    return Key(tuple(str(key.to_public()) for key in keys), tuple(keys))


def _read(path: str) -> str:
    """Return what a file holds: a stack names it, and some that are none have no end. Raises OSError, BackupError."""
    try:
        place = resolve(Path(path))
        return read_regular(Path(path), place, place.parent, MOST_BYTES)[1].decode()
    except ComposeFileError as error:
        raise _no_key(path, error.message) from error


def _no_key(path: str, reason: str) -> BackupError:
    return BackupError(
        said("the key {path} cannot be read: {reason}", path=path, reason=reason),
        hint=correct_setting("x-deploy.backup.key"),
    )


@asynccontextmanager
async def sealed(key: Key | None, target: Target) -> AsyncIterator[Target]:
    """Give what encrypts all that is written to it into a target; without a key, the target itself.

    Raises what the target does. Nothing is written to that any more once the block has ended.
    """
    if key is None:
        yield target
        return
    sealing = await in_thread(_Sealing, key, target)
    try:
        yield sealing
    except BaseException:
        with suppress(Exception):
            await in_thread(sealing.close)
        raise
    await in_thread(sealing.close)


@asynccontextmanager
async def opened(file: IO[bytes], recipient: str, key_file: str) -> AsyncIterator[Source]:
    """Give what a file holds, decrypted where it is encrypted for a recipient.

    Raises BackupError, also while it is read.
    """
    if not recipient:
        yield file
        return
    opening = await in_thread(lambda: _Opening(_key_for(recipient, key_file), file))
    try:
        yield opening
    finally:
        await in_thread(opening.close)


def check_encrypted(file: IO[bytes], recipient: str, key_file: str) -> None:
    """Decrypt a whole file, and keep nothing of it. Raises BackupError where that cannot be done."""
    opening = _Opening(_key_for(recipient, key_file), file)
    try:
        while opening.read(CHUNK_BYTES):
            pass
    finally:
        opening.close()


def _key_for(recipient: str, path: str) -> Key:
    key = read_key(path)
    if recipient not in key.recipients:
        raise BackupError(
            said("it is encrypted for {recipient}, and {path} has no key for that", recipient=recipient, path=path),
            hint=said("Add the key that it was made with to the file, below the one for new backups."),
        )
    return key


class _Sealing:
    """Encrypt in a thread what is written through a pipe."""

    def __init__(self, key: Key, target: Target) -> None:
        reading, writing = os.pipe()
        self.size = 0
        self._pipe, self._target = os.fdopen(writing, "wb"), target
        self._ended, self._fault = threading.Event(), list[BaseException]()
        start_thread(partial(self._run, key, os.fdopen(reading, "rb")), "encryption")

    def write(self, chunk: bytes) -> None:
        """Encrypt more. Raises what the target raised."""
        try:
            self._pipe.write(chunk)
        except BrokenPipeError:
            self._raise_fault()
            raise
        self.size += len(chunk)

    def close(self) -> None:
        """Write what is left, and wait for the end. Raises what the target raised."""
        try:
            self._pipe.close()
        except BrokenPipeError:
            self._raise_fault()
            raise
        self._raise_fault()

    def _raise_fault(self) -> None:
        self._ended.wait()
        if self._fault:
            raise self._fault[0]

    def _run(self, key: Key, source: IO[bytes]) -> None:
        library = load(ENCRYPTION, BackupError)
        recipient = library.x25519.Recipient.from_str(key.recipients[0])
        try:
            with source:
                library.encrypt_io(source, _Noting(self._target, self._fault), [recipient])
        except Exception as error:
            self._fault.append(error)  # after that of the target, which it tells of in other words
        finally:
            self._ended.set()


class _Noting:
    """Pass on what is written, and note why that fails: the library keeps only the words of a fault."""

    def __init__(self, target: Target, fault: list[BaseException]) -> None:
        self._target, self._fault = target, fault

    def write(self, chunk: bytes) -> int:
        try:
            self._target.write(chunk)
        except BaseException as error:
            self._fault.append(error)
            raise
        return len(chunk)

    def flush(self) -> None:
        """Do nothing: who owns the target flushes it."""


class _Opening:
    """Decrypt a file in a thread, and be what is read of it."""

    def __init__(self, key: Key, file: IO[bytes]) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(reading, "rb")
        self._ended, self._fault = threading.Event(), list[Exception]()
        start_thread(partial(self._run, key, file, os.fdopen(writing, "wb")), "decryption")

    def read(self, size: int) -> bytes:
        """Return more of it, and nothing at its end. Raises BackupError where it is not what was encrypted."""
        if chunk := self._pipe.read(size):
            return chunk
        self._ended.wait()
        if self._fault:
            raise BackupError(said("it cannot be decrypted: {reason}", reason=self._fault[0])) from self._fault[0]
        return b""

    def close(self) -> None:
        """End it, read or not, and wait until nothing reads the file any more."""
        self._pipe.close()
        self._ended.wait()

    def _run(self, key: Key, file: IO[bytes], target: IO[bytes]) -> None:
        try:
            with target:
                load(ENCRYPTION, BackupError).decrypt_io(file, target, list(key.identities))
        except Exception as error:
            self._fault.append(error)
        finally:
            self._ended.set()
