"""Keep the folders of stacks at the commits of their repositories; nothing else in a folder is touched."""

import asyncio
import errno
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path, PurePosixPath

from roas.concurrency import in_thread
from roas.errors import ComposeFileError, RefMovedError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment, Repository
from roas.redaction import Learn
from roas.stack.resolution.commit_files import EXECUTABLE, LINK, Entry, Files, must_not_be_written
from roas.stack.resolution.mirror import Mirror, digest
from roas.web_client import WebClient

log = get_logger(__name__)


class Repositories:
    """Keep the folders of environments at the commits of their repositories, one plan after the other."""

    def __init__(self, state_dir: Path, learn: Learn, client: WebClient) -> None:
        """Keep mirrors below a folder; `learn` hears of each token and key that is used."""
        self._client = client
        self._folder = state_dir / "git"
        self._learn = learn
        self._locks: dict[str, asyncio.Lock] = {}

    def mirror(self, repository: Repository, environment: str = "") -> Mirror:
        """Return the mirror of a repository; for its files, of which environment."""
        place, kept = self._folder / f"{digest(repository.url)}.git", self._folder / f"{environment}.kept"
        lock = self._locks.setdefault(str(place), asyncio.Lock())
        return Mirror(place, repository, self._learn, self._client, kept=kept, lock=lock)

    @asynccontextmanager
    async def hold(self, environment: Environment, expected: str = "") -> AsyncIterator[str]:
        """Bring the folder to the ref's commit, and keep it there for a block; provide the commit, empty without one.

        Raises RefMovedError where that is not what was `expected`, RepositoryError, ComposeFileError.
        """
        repository = environment.repository
        if repository is None:
            yield ""
            return
        async with self._locks.setdefault(str(environment.folder), asyncio.Lock()):
            mirror = self.mirror(repository, environment.name)
            commit = await mirror.fetch()
            if expected not in {"", commit}:
                raise RefMovedError(
                    said(
                        "{ref} is not {expected} any more: it is {commit}.",
                        ref=repository.ref,
                        expected=expected[:12],
                        commit=commit[:12],
                    ),
                    hint=said("The new commit is offered in a moment. Look at it, then decide."),
                )
            files = await mirror.files(commit)
            self._refuse_own(environment, files.entries)
            await in_thread(lambda: self._write(environment, files))
            log.info("files brought", environment=environment.name, commit=commit)
            yield commit

    def _refuse_own(self, environment: Environment, entries: Sequence[Entry]) -> None:
        """Raise ComposeFileError for a file in the place of the bot's own: its settings and its state."""
        named = (*environment.withheld, self._folder.parent)
        kept = {path for path in named if environment.folder in path.parents}
        for entry in entries:
            place = environment.folder / entry.path
            if not kept.isdisjoint((place, *place.parents)) or any(place in path.parents for path in kept):
                raise must_not_be_written(entry.path)

    def _write(self, environment: Environment, files: Files) -> None:
        """Write the files of a commit, and remove those of the one before; nothing else in the folder is touched.

        What was written is noted first, so that a process that dies in between leaves nothing that is never removed.
        """
        noted = self._folder / f"{environment.name}.json"
        names = {str(entry.path) for entry in files.entries}
        before = _noted(noted)
        _note(noted, names | before)
        try:
            environment.folder.mkdir(parents=True, exist_ok=True)
            root = os.open(environment.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in sorted(before - names):
                    _remove(root, PurePosixPath(name))
                for entry in files.entries:
                    _write_entry(root, entry, files.blobs[entry.blob])
            finally:
                os.close(root)
        except OSError as error:
            raise ComposeFileError(
                said("{path} cannot be written: {strerror}.", path=environment.folder, strerror=error.strerror),
                hint=_writable(environment.folder, error),
            ) from error
        _note(noted, names)


def _writable(folder: Path, error: OSError) -> str:
    """Return what lets the bot write into a folder; empty where that is not what is wrong."""
    if error.errno == errno.EROFS:
        return said("Mount it for the bot without `:ro`.")
    if error.errno not in {errno.EACCES, errno.EPERM}:
        return ""
    uid = os.geteuid()
    return said("The bot runs as user {uid}: let it own the folder, by chown -R {uid} {path}", uid=uid, path=folder)


def _noted(path: Path) -> set[str]:
    with suppress(OSError, ValueError):
        return set(map(str, json.loads(path.read_text(encoding="utf-8"))))
    return set()


def _note(path: Path, names: set[str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(sorted(names)), encoding="utf-8")
    temporary.replace(path)


@contextmanager
def _folder_of(root: int, path: PurePosixPath, *, create: bool) -> Iterator[int]:
    """Hold the folder of a path, step by step: a link on the way leads nowhere, and is removed where `create`."""
    held = os.dup(root)
    try:
        for step in path.parent.parts:
            if create:
                with suppress(FileNotFoundError):
                    if not stat.S_ISDIR(os.stat(step, dir_fd=held, follow_symlinks=False).st_mode):
                        os.unlink(step, dir_fd=held)
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=held)
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = below
        yield held
    finally:
        os.close(held)


def _write_entry(root: int, entry: Entry, content: bytes) -> None:
    """Write one file beside its name, then give it the name; one that is as it should be stays."""
    with _folder_of(root, entry.path, create=True) as folder:
        name, temporary = entry.path.name, f".roas-{entry.blob[:12]}"
        if _is_written(folder, name, entry, content):
            return
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.rmdir(name, dir_fd=folder)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        if entry.mode == LINK:
            os.symlink(content, temporary.encode(), dir_fd=folder)
        else:
            mode = 0o755 if entry.mode == EXECUTABLE else 0o644
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, mode, dir_fd=folder), "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), mode)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _is_written(folder: int, name: str, entry: Entry, content: bytes) -> bool:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return entry.mode == LINK and os.readlink(os.fsencode(name), dir_fd=folder) == content
        if entry.mode == LINK or not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
            return False
        if bool(status.st_mode & 0o100) != (entry.mode == EXECUTABLE):
            return False
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
            return file.read() == content
    except FileNotFoundError:
        return False


def _remove(root: int, path: PurePosixPath) -> None:
    """Remove a file that a commit before had, and the folders that are empty without it."""
    with suppress(FileNotFoundError, NotADirectoryError, OSError), _folder_of(root, path, create=False) as folder:
        os.unlink(path.name, dir_fd=folder)
    for parent in list(path.parents)[:-1]:
        with suppress(OSError), _folder_of(root, parent, create=False) as folder:
            os.rmdir(parent.name, dir_fd=folder)
