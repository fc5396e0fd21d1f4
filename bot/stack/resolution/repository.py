"""Bring the files of a stack from a git repository: a bare mirror, no checkout, and nothing that the repository says.

The real `git` fetches and checks objects; what is written into the stack's folder are blobs as they are, by
`cat-file`. No hook, filter, attribute, submodule or configuration of the repository has a part in that.
"""

import asyncio
import base64
import errno
import hashlib
import json
import os
import shlex
import shutil
import stat
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from roas.concurrency import in_thread
from roas.errors import ComposeFileError, RefMovedError, RepositoryError, RepositoryUnavailableError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.candidate import Commit
from roas.models.environment import Environment, Repository
from roas.redaction import Learn
from roas.stack.compose.processes import end_process, start_process
from roas.temporary import temporary_folder

log = get_logger(__name__)

FETCH_SECONDS, ASK_SECONDS, READ_SECONDS = 120.0, 20.0, 60.0
MOST_PACK_BYTES = 1 << 30
MOST_FILES, MOST_FILE_BYTES, MOST_BYTES = 20_000, 64 << 20, 512 << 20
MOST_COMMITS = 100
LONGEST_LINK = 4095
OPENPGP_KEYS = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
GPG_OPTIONS = ("--batch", "--quiet", "--no-autostart", "--no-options")
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LONGEST_ERROR = 300
GIT_FOLDER = ".git"
REGULAR, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
# Whatever the repository, the machine or the user says of these.
HARDENED = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Describe a file of a commit: its path below the stack's folder, its mode and its blob."""

    path: PurePosixPath
    mode: str
    blob: str
    size: int


class Mirror:
    """Hold a bare copy of one repository below the state folder. Every method raises RepositoryError."""

    def __init__(self, folder: Path, repository: Repository, learn: Learn) -> None:
        self._learn = learn
        name = hashlib.sha256(repository.url.encode()).hexdigest()[:16]
        self._place = folder / f"{name}.git"
        self._repository = repository

    async def head(self) -> str:
        """Ask the server which commit the ref names now, without fetching it."""
        repository = self._repository
        found = await self._git("ls-remote", "--", repository.url, *_names(repository.ref), seconds=ASK_SECONDS)
        # An annotated tag is followed by the commit that it stands for.
        commits = [line.partition(b"\t") for line in found.splitlines()]
        named = {name.decode(errors="replace"): commit.decode() for commit, _tab, name in commits}
        for name in _names(repository.ref):
            if name in named:
                return named[name]
        raise self._no_ref()

    async def fetch(self) -> str:
        """Fetch the ref with its history, checked object by object, and return its commit."""
        if not (self._place / "HEAD").exists():
            await in_thread(lambda: self._place.mkdir(mode=0o700, parents=True, exist_ok=True))
            await self._git("init", "--quiet", "--bare", "--template=", ".")
        own = f"refs/roas/{hashlib.sha256(self._repository.ref.encode()).hexdigest()[:16]}"
        options = ("--quiet", "--force", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head")
        await self._git(
            "fetch", *options, "--", self._repository.url, f"+{self._repository.ref}:{own}", seconds=FETCH_SECONDS
        )
        commit = (await self._git("rev-parse", "--verify", "--end-of-options", f"{own}^{{commit}}")).decode().strip()
        if self._repository.signers_file is not None:
            await self._verify(commit, self._repository.signers_file)
        return commit

    async def commits(self, before: str, commit: str) -> tuple[Commit, ...]:
        """Return the commits since another one, the newest first; without one, or if it is unknown, that one only."""
        since = [f"^{before}"] if before and await self._has(before) else ["--max-count=1"]
        shown = ("--format=%H%x00%an%x00%ct%x00%s", "-z", f"--max-count={MOST_COMMITS}")
        found = await self._git("log", *shown, *since, "--end-of-options", commit, "--")
        fields = found.decode(errors="replace").split("\0")
        rows = [fields[at : at + 4] for at in range(0, len(fields) - 3, 4)]
        return tuple(
            Commit(sha, title[:200], author[:100], datetime.fromtimestamp(int(made), UTC))
            for sha, author, made, title in rows
        )

    async def is_forced(self, before: str, commit: str) -> bool:
        """Return whether a commit that was seen is none of those that lead to another one."""
        if not before or before == commit:
            return False
        if not await self._has(before):
            return True
        with suppress(RepositoryError):
            await self._git("merge-base", "--is-ancestor", before, commit)
            return False
        return True

    async def entries(self, commit: str) -> tuple[Entry, ...]:
        """Return the files below the repository's path. Raises ComposeFileError where one must not be written."""
        path = self._repository.path.strip("/")
        listed = await self._git("ls-tree", "-r", "-z", "-l", f"{commit}:{path}" if path else commit)
        found = tuple(_entries(listed))
        size = sum(entry.size for entry in found)
        if len(found) > MOST_FILES or size > MOST_BYTES or any(entry.size > MOST_FILE_BYTES for entry in found):
            raise ComposeFileError(
                said(
                    "The repository has more than {files} files, or more than {size} MiB, or one of more than "
                    "{file} MiB, below its path.",
                    files=MOST_FILES,
                    size=MOST_BYTES >> 20,
                    file=MOST_FILE_BYTES >> 20,
                ),
                hint=said("Name a folder of its own for the stack: `path`."),
            )
        if not found:
            raise ComposeFileError(
                said("{commit} has no files below {path}.", commit=commit[:12], path=path or "/"),
            )
        return found

    async def blobs(self, entries: Sequence[Entry]) -> dict[str, bytes]:
        """Return what the blobs of files hold, as they are: no filter and no attribute changes them."""
        wanted = list(dict.fromkeys(entry.blob for entry in entries))
        output = await self._git("cat-file", "--batch", wanted=wanted)
        found: dict[str, bytes] = {}
        at = 0
        for blob in wanted:
            end = output.index(b"\n", at)
            size = int(output[at:end].split()[2])
            found[blob] = output[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    async def _has(self, commit: str) -> bool:
        with suppress(RepositoryError):
            await self._git("cat-file", "-e", f"{commit}^{{commit}}")
            return True
        return False

    async def _verify(self, commit: str, signers: Path) -> None:
        """Check the signature of a commit by keys of SSH or OpenPGP, whichever the file holds."""
        is_openpgp = OPENPGP_KEYS in _read(signers)
        if is_openpgp and shutil.which("gpg") is None:
            raise RepositoryError(
                said("There is no {program}.", program="gpg"),
                hint=said("Install gpg beside the bot, or sign by SSH keys."),
            )
        options = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}")
        try:
            with temporary_folder("gpg") as keys:
                known = {"GNUPGHOME": str(keys)}
                if is_openpgp:
                    options = ("-c", "gpg.format=openpgp", "-c", "gpg.minTrustLevel=undefined")
                    await self._run(("gpg", *GPG_OPTIONS, "--import", str(signers)), known, READ_SECONDS)
                await self._git(*options, "verify-commit", commit, more=known)
        except RepositoryError as error:
            raise RepositoryError(
                said("{commit} is not signed by somebody whom the settings name.", commit=commit[:12]),
                hint=said("Sign the commit with a key of `signers_file`, or add the key there."),
            ) from error

    async def _git(
        self,
        *arguments: str,
        seconds: float = READ_SECONDS,
        wanted: Sequence[str] = (),
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> bytes:
        git = shutil.which("git")
        if git is None:
            raise RepositoryError(
                said("There is no {program}.", program="git"), hint=said("Install git beside the bot.")
            )
        return await self._run((git, *arguments), more, seconds, wanted)

    async def _run(
        self, command: Sequence[str], more: Mapping[str, str], seconds: float, wanted: Sequence[str] = ()
    ) -> bytes:
        """Run a program in the mirror, bounded in time and in what it may write."""
        place = self._place if self._place.is_dir() else Path("/")
        bounded = ("prlimit", f"--fsize={MOST_PACK_BYTES}", "--core=0", *command)
        with temporary_folder("git") as home:
            process = await start_process(bounded, {**self._variables(home), **more}, place, stdin=PIPE)
            try:
                async with asyncio.timeout(seconds):
                    output, errors = await process.communicate("".join(f"{name}\n" for name in wanted).encode())
            except TimeoutError as error:
                raise _away(
                    self._repository,
                    said("git did not end within {seconds} s", seconds=f"{seconds:g}"),
                ) from error
            finally:
                await end_process(process)
        if process.returncode:
            raise self._fault(errors.decode(errors="replace"))
        return output

    def _variables(self, home: Path) -> dict[str, str]:
        """Return git's environment: nothing of the user's and the machine's configuration is read."""
        repository = self._repository
        configuration = HARDENED | {"protocol.http.allow": "always" if repository.is_near else "never"}
        if repository.token_file is not None:
            token = _read(repository.token_file)
            login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            self._learn((token, login))
            configuration["http.extraHeader"] = f"Authorization: Basic {login}"
        ssh = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=15"]
        known = repository.known_hosts_file or Path("/dev/null")
        ssh += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
        ssh += ["-o", "GlobalKnownHostsFile=/dev/null"]
        if repository.key_file is not None:
            self._learn([_read(repository.key_file)])
            ssh += ["-i", str(repository.key_file)]
        pairs = enumerate(configuration.items())
        numbered = [(f"GIT_CONFIG_KEY_{at}", key, f"GIT_CONFIG_VALUE_{at}", value) for at, (key, value) in pairs]
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_SSH_COMMAND": shlex.join(ssh),
            "GIT_CONFIG_COUNT": str(len(configuration)),
            **{name: value for row in numbered for name, value in (row[:2], row[2:])},
        }

    def _fault(self, errors: str) -> RepositoryError:
        lines = [line for line in errors.splitlines() if line.startswith(("fatal:", "error:"))] or errors.splitlines()
        text = (
            (lines[0] if lines else "git failed")
            .removeprefix("fatal: ")
            .removeprefix("error: ")[:LONGEST_ERROR]
            .rstrip(".")
        )
        if "couldn't find remote ref" in errors:
            return self._no_ref()
        if "Host key verification failed" in errors or "host key is known for" in errors:
            return RepositoryError(
                said("The server of {url} shows another host key than the settings name.", url=self._repository.shown),
                hint=said("Correct `known_hosts_file` if the server was given a new key; else somebody is in between."),
            )
        if "Permission denied (" in errors:
            return RepositoryError(
                said("The server of {url} does not take the deploy key.", url=self._repository.shown),
                hint=said("Add the public key of `key_file` to the repository's deploy keys."),
            )
        if any(word in errors for word in ("fsck", "object", "not allowed", "signature")):
            return RepositoryError(
                said("git refuses {url}: {error}", url=self._repository.shown, error=text),
                hint=said("Look at the repository: somebody may have tampered with it."),
            )
        return _away(self._repository, text)

    def _no_ref(self) -> RepositoryError:
        return RepositoryError(
            said("{url} has no {ref}.", url=self._repository.shown, ref=self._repository.ref),
            hint=said("Correct `ref` of the environment's repository, or push it."),
        )


class Repositories:
    """Keep the folders of environments at the commits of their repositories, one plan after the other."""

    def __init__(self, state_dir: Path, learn: Learn) -> None:
        """Keep mirrors below a folder; `learn` hears of each token and key that is used."""
        self._folder = state_dir / "git"
        self._learn = learn
        self._locks: dict[str, asyncio.Lock] = {}

    def mirror(self, repository: Repository) -> Mirror:
        """Return the mirror of a repository."""
        return Mirror(self._folder, repository, self._learn)

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
            mirror = self.mirror(repository)
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
            entries = await mirror.entries(commit)
            self._refuse_own(environment, entries)
            blobs = await mirror.blobs(entries)
            refuse_misleading(entries, blobs)
            await in_thread(lambda: self._write(environment, entries, blobs))
            log.info("files brought", environment=environment.name, commit=commit)
            yield commit

    def _refuse_own(self, environment: Environment, entries: Sequence[Entry]) -> None:
        """Raise ComposeFileError for a file in the place of the bot's own: its settings and its state."""
        named = (*environment.withheld, self._folder.parent)
        kept = {path for path in named if environment.folder in path.parents}
        for entry in entries:
            place = environment.folder / entry.path
            if not kept.isdisjoint((place, *place.parents)) or any(place in path.parents for path in kept):
                raise _must_not_be_written(entry.path)

    def _write(self, environment: Environment, entries: Sequence[Entry], blobs: Mapping[str, bytes]) -> None:
        """Write the files of a commit, and remove those of the one before; nothing else in the folder is touched.

        What was written is noted first, so that a process that dies in between leaves nothing that is never removed.
        """
        noted = self._folder / f"{environment.name}.json"
        names = {str(entry.path) for entry in entries}
        before = _noted(noted)
        _note(noted, names | before)
        try:
            environment.folder.mkdir(parents=True, exist_ok=True)
            root = os.open(environment.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in sorted(before - names):
                    _remove(root, PurePosixPath(name))
                for entry in entries:
                    _write_entry(root, entry, blobs[entry.blob])
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


def _entries(listed: bytes) -> Iterator[Entry]:
    """Read `ls-tree -r -z -l`. Raises ComposeFileError where a path must not be written, or is a submodule."""
    for line in filter(None, listed.split(b"\0")):
        head, _tab, name = line.partition(b"\t")
        mode, _kind, blob, size = head.decode().split()
        path = PurePosixPath(os.fsdecode(name))
        if mode == SUBMODULE:
            raise ComposeFileError(
                said("{path} is a submodule, which the bot does not fetch.", path=path),
                hint=said("Name a folder without it (`path`), or put it into the repository itself."),
            )
        if path.is_absolute() or {"..", "."} & set(path.parts) or any(_is_git(part) for part in path.parts):
            raise _must_not_be_written(path)
        yield Entry(path, mode if mode in {LINK, EXECUTABLE} else REGULAR, blob, int(size))


def _must_not_be_written(path: PurePosixPath) -> ComposeFileError:
    return ComposeFileError(
        said("The repository has a file that must not be written: {path}.", path=repr(str(path))[:200]),
    )


def _is_git(part: str) -> bool:
    return part.lower().rstrip(". ") == GIT_FOLDER


def refuse_misleading(entries: Sequence[Entry], blobs: Mapping[str, bytes]) -> None:
    """Raise ComposeFileError where a link leads out of the stack's folder, or a file only stands for one in LFS."""
    for entry in entries:
        if entry.mode != LINK:
            if blobs[entry.blob].startswith(LFS_POINTER):
                raise ComposeFileError(
                    said("{path} is kept in Git LFS, which the bot does not fetch.", path=entry.path),
                    hint=said("Name a folder without it (`path`), or put it into the repository itself."),
                )
            continue
        target = os.fsdecode(blobs[entry.blob])
        leads_to = os.path.normpath(entry.path.parent / target)
        if leads_to.startswith(("/", "..")) or len(target) > LONGEST_LINK:
            raise ComposeFileError(
                said("The link {path} leads out of the repository.", path=entry.path),
            )


def _names(ref: str) -> tuple[str, ...]:
    if ref == "HEAD" or ref.startswith("refs/"):
        return (f"{ref}^{{}}", ref)
    return tuple(f"refs/{kind}/{ref}{peeled}" for kind, peeled in (("tags", "^{}"), ("tags", ""), ("heads", "")))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RepositoryError(
            said("{path} cannot be read: {strerror}.", path=path, strerror=str(error)),
            hint=said("Let it name a file that the bot may read."),
        ) from error


def _away(repository: Repository, cause: str) -> RepositoryUnavailableError:
    return RepositoryUnavailableError(
        said("{url} cannot be fetched: {cause}.", url=repository.shown, cause=cause),
        hint=said("See whether the address, the key and the host's key are right, and whether the server answers."),
    )
