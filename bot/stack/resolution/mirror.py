"""Keep a bare mirror of a git repository: no checkout, and nothing that the repository says.

The real `git` fetches and checks objects; what is read are blobs as they are, by `cat-file`. No hook, filter or
attribute of the repository has a part in that. Submodules and large files are fetched where the settings ask for
them: each submodule into a mirror of its own, at the commit that the repository names.
"""

import asyncio
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from roas.concurrency import in_thread
from roas.errors import ComposeFileError, RepositoryError, not_installed
from roas.messages.message import said
from roas.models.candidate import Commit
from roas.models.environment import Repository, read_address
from roas.redaction import Learn
from roas.stack.resolution.commit_files import (
    LINK,
    MOST_BYTES,
    SUBMODULE,
    Entry,
    Files,
    needs_setting,
    read_entries,
    refuse_misleading,
    refuse_too_much,
    too_much,
)
from roas.stack.resolution.git_program import (
    MOST_PACK_BYTES,
    MOST_PRINTED_BYTES,
    GitProgram,
    away,
    read_named,
)
from roas.stack.resolution.large_files import LargeFiles, LfsServer, Pointer, pointer_of
from roas.temporary import temporary_folder
from roas.web_client import WebClient

FETCH_SECONDS, ASK_SECONDS = 120.0, 20.0
# What submodules and large files add has to be here in this time, all together.
FILES_SECONDS = 600.0
# What a mirror, or all that is kept beside one, may have grown to by pushes that nothing leads to any more.
MOST_MIRROR_BYTES = 2 << 30
# What other writers, such as the journal, must find free.
LEAST_FREE_BYTES = 256 << 20
MOST_NAMED_BYTES = 1 << 20
MOST_SUBMODULES, DEEPEST_SUBMODULE = 20, 3
MOST_COMMITS = 100
OPENPGP_KEYS = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
GPG_OPTIONS = ("--batch", "--quiet", "--no-autostart", "--no-options")
HTTPS, ROOT = "https://", PurePosixPath()


class Mirror:
    """Hold a bare copy of one repository below the state folder. Every method raises RepositoryError."""

    def __init__(
        self,
        place: Path,
        repository: Repository,
        learn: Learn,
        client: WebClient,
        *,
        kept: Path,
        lock: asyncio.Lock,
        root: Repository | None = None,
    ) -> None:
        """Keep it at a place; in the folder `kept` lies what submodules and large files add to its files.

        Nobody fetches into it without the `lock`. Of a submodule, `root` is the repository that the settings name.
        """
        self._place, self._kept, self._lock = place, kept, lock
        self._git = GitProgram(place, repository, learn)
        self._learn = learn
        self._client = client
        self._repository = repository
        self._root = root or repository

    async def head(self) -> str:
        """Ask the server which commit the ref names now, without fetching it."""
        repository = self._repository
        found = await self._git.run("ls-remote", "--", repository.url, *_names(repository.ref), seconds=ASK_SECONDS)
        # An annotated tag is followed by the commit that it stands for.
        commits = [line.partition(b"\t") for line in found.splitlines()]
        named = {name.decode(errors="replace"): commit.decode() for commit, _tab, name in commits}
        for name in _names(repository.ref):
            if name in named:
                return named[name]
        raise self._git.no_ref()

    async def fetch(self, *options: str) -> str:
        """Fetch the ref with its history, checked object by object, and return its commit."""
        own = f"refs/roas/{digest(self._repository.ref)}"
        options += ("--quiet", "--force", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head")
        async with self._lock:
            if await in_thread(_remove_large, self._place):
                options += (f"--depth={MOST_COMMITS}",)
            await in_thread(lambda: self._place.mkdir(mode=0o700, parents=True, exist_ok=True))
            room = await self._room(1)
            if not (self._place / "HEAD").exists():
                await self._git.run("init", "--quiet", "--bare", "--template=", ".")
            address = ("--", self._repository.url, f"+{self._repository.ref}:{own}")
            try:
                await self._git.run("fetch", *options, *address, seconds=FETCH_SECONDS, room=room)
            finally:
                await in_thread(_remove_partial, self._place)
        named = await self._git.run("rev-parse", "--verify", "--end-of-options", f"{own}^{{commit}}")
        commit = named.decode().strip()
        if self._repository.signers_file is not None:
            await self._verify(commit, self._repository.signers_file)
        return commit

    async def commits(self, before: str, commit: str) -> tuple[Commit, ...]:
        """Return the commits since another one, the newest first; without one, or if it is unknown, that one only."""
        since = [f"^{before}"] if before and await self._has(before) else ["--max-count=1"]
        shown = ("--format=%H%x00%an%x00%ct%x00%s", "-z", f"--max-count={MOST_COMMITS}")
        found = await self._git.run("log", *shown, *since, "--end-of-options", commit, "--")
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
            await self._git.run("merge-base", "--is-ancestor", before, commit)
            return False
        return True

    async def files(self, commit: str) -> Files:
        """Return the files below the repository's path, with those of submodules and of Git LFS where asked for.

        Raises ComposeFileError where one must not be written.
        """
        try:
            async with asyncio.timeout(FILES_SECONDS):
                return await self._files(commit)
        except TimeoutError as error:
            cause = said("its files took more than {seconds} s", seconds=f"{FILES_SECONDS:g}")
            raise away(self._repository, cause) from error

    async def _files(self, commit: str) -> Files:
        path = self._repository.path.strip("/")
        if await in_thread(_size, self._kept) > MOST_MIRROR_BYTES:
            await in_thread(shutil.rmtree, self._kept)
        found: list[tuple[Mirror, tuple[Entry, ...]]] = []
        await self._gather(found, commit, path)
        if not any(own for _mirror, own in found):
            raise ComposeFileError(said("{commit} has no files below {path}.", commit=commit[:12], path=path or "/"))
        entries: list[Entry] = []
        blobs: dict[str, bytes] = {}
        wanted: list[tuple[Mirror, dict[str, Pointer]]] = []
        for mirror, own in found:
            held = await mirror._blobs(own)
            blobs |= held
            pointers = {entry.blob: pointer_of(held[entry.blob]) for entry in own if entry.mode != LINK}
            large = {blob: pointer for blob, pointer in pointers.items() if pointer is not None and mirror._root.lfs}
            wanted.append((mirror, large))
            for entry in own:
                pointer = large.get(entry.blob) if entry.mode != LINK else None
                entries.append(replace(entry, blob=pointer.oid, size=pointer.size) if pointer else entry)
        refuse_too_much(entries)
        used = {mirror._place.name for mirror, _own in found} | {entry.blob for entry in entries}
        await in_thread(self._remove_unused, used)
        for mirror, large in wanted:
            blobs |= await mirror._large_files(list(dict.fromkeys(large.values())))
        await in_thread(refuse_misleading, entries, blobs)
        return Files(tuple(entries), blobs)

    def _remove_unused(self, used: set[str]) -> None:
        """Remove the submodules and large files that only earlier commits had."""
        for path in (*self._kept.glob("*.git"), *self._kept.glob("lfs/*")):
            if path.name not in used and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in used:
                with suppress(OSError):
                    path.unlink()

    async def _gather(
        self,
        found: list[tuple["Mirror", tuple[Entry, ...]]],
        commit: str,
        path: str,
        below: PurePosixPath = ROOT,
        depth: int = 0,
    ) -> None:
        """Add the files of this repository, and those of its submodules, each with the mirror that has them."""
        listed = read_entries(await self._git.run("ls-tree", "-r", "-z", "-l", f"{commit}:{path}" if path else commit))
        files = (replace(entry, path=below / entry.path) for entry in listed if entry.mode != SUBMODULE)
        found.append((self, tuple(files)))
        refuse_too_much([entry for _mirror, own in found for entry in own])
        modules = [entry for entry in listed if entry.mode == SUBMODULE]
        addresses = await self._addresses(commit) if modules and self._repository.submodules else {}
        for module in modules:
            place = below / module.path
            if len(found) > MOST_SUBMODULES or depth == DEEPEST_SUBMODULE:
                raise ComposeFileError(
                    said(
                        "The repository has more than {most} submodules, or more than {depth} in each other: {path}.",
                        most=MOST_SUBMODULES,
                        depth=DEEPEST_SUBMODULE,
                        path=place,
                    ),
                )
            mirror = self._mirror_of(place, addresses.get(PurePosixPath(path, module.path), ""), module.blob)
            if not await mirror._has(module.blob):
                await mirror.fetch("--depth=1")
            await mirror._gather(found, module.blob, "", place, depth + 1)

    def _mirror_of(self, path: PurePosixPath, address: str, commit: str) -> "Mirror":
        """Return the mirror of a submodule. Raises ComposeFileError where it is not asked for, or at another host."""
        own, root = self._repository, self._root
        if not root.submodules:
            raise needs_setting(path, "submodules")
        url = own.beside(address)
        if not root.may_fetch(url):
            raise ComposeFileError(
                said("{path} is a submodule of {url}, from where the settings allow none.", path=path, url=url[:200]),
                hint=said("Name its host in `submodules` of the environment's repository; it has to be HTTPS or SSH."),
            )
        token = root.token_file if root.is_of_server(url) else None
        # Whose signature a commit has vouches for the commits of its submodules, which it names.
        there = replace(own, url=url, ref=commit, path="", signers_file=None, token_file=token)
        place = self._kept / f"{digest(url, commit)}.git"
        return Mirror(place, there, self._learn, self._client, kept=self._kept, lock=asyncio.Lock(), root=root)

    async def _addresses(self, commit: str) -> Mapping[PurePosixPath, str]:
        """Return what `.gitmodules` of a commit says where each submodule is, by its path."""
        listed = read_entries(await self._git.run("ls-tree", "-z", "-l", commit, "--", ".gitmodules"))
        if not listed:
            return {}
        if listed[0].size > MOST_NAMED_BYTES:
            raise too_much()
        asked = ("config", "--no-includes", "--blob", listed[0].blob, "--null", "--list")
        values: dict[str, dict[str, str]] = {}
        for line in os.fsdecode(await self._git.run(*asked, most=MOST_NAMED_BYTES)).split("\0"):
            key, _newline, value = line.partition("\n")
            name, _dot, kind = key.removeprefix("submodule.").rpartition(".")
            values.setdefault(name, {})[kind] = value
        return {PurePosixPath(value["path"]): value.get("url", "") for value in values.values() if "path" in value}

    async def _large_files(self, wanted: Sequence[Pointer]) -> dict[str, bytes]:
        """Return what is kept in Git LFS, by its hash."""
        large = LargeFiles(self._client, self._kept / "lfs", self._repository.shown, self._learn)
        found = await large.kept(wanted)
        if missing := [pointer for pointer in wanted if pointer.oid not in found]:
            await self._room(sum(pointer.size for pointer in missing))
            found |= await large.fetch(await self._lfs_server(), missing)
        return found

    async def _lfs_server(self) -> LfsServer:
        """Return where large files are asked for: beside the repository, or where its server says over SSH."""
        repository = self._repository
        address = read_address(repository.url)
        if address is None or address.scheme != "ssh":
            return LfsServer(f"{repository.url.rstrip('/').removesuffix('.git')}.git/info/lfs", self._git.login())
        asked = shlex.join(("git-lfs-authenticate", address.path, "download"))
        answer = await self._git.run_program(
            (*self._git.ssh(), "-p", address.port, "--", address.login, asked), {}, ASK_SECONDS
        )
        try:
            document = json.loads(answer)
            server = LfsServer(document["href"], {str(key): str(value) for key, value in document["header"].items()})
            there = read_address(server.address)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise away(repository, said("its server names no HTTPS address for Git LFS")) from error
        # Without TLS it may only name itself: another address in its network is none of its own.
        is_itself = there is not None and (there.scheme, there.host) == ("http", address.host)
        if not (server.address.startswith(HTTPS) or is_itself):
            raise away(repository, said("its server names no HTTPS address for Git LFS"))
        self._learn(server.headers.values())
        return server

    async def _blobs(self, entries: Sequence[Entry]) -> dict[str, bytes]:
        """Return what the blobs of files hold, as they are: no filter and no attribute changes them."""
        wanted = list(dict.fromkeys(entry.blob for entry in entries))
        output = await self._git.run("cat-file", "--batch", wanted=wanted, most=MOST_BYTES + MOST_PRINTED_BYTES)
        found: dict[str, bytes] = {}
        at = 0
        for blob in wanted:
            end = output.index(b"\n", at)
            size = int(output[at:end].split()[2])
            found[blob] = output[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    async def _room(self, needed: int) -> int:
        """Return how much git may write into a file. Raises RepositoryError where the disk has not what is needed."""
        free = (await in_thread(shutil.disk_usage, self._place.parent)).free - LEAST_FREE_BYTES
        free = min(free, 2 * MOST_MIRROR_BYTES - await in_thread(_size, self._kept))
        if free < needed:
            raise RepositoryError(
                said("There is no room for {url} in {path}.", url=self._repository.shown, path=self._place.parent)
            )
        return min(free, MOST_PACK_BYTES)

    async def _has(self, commit: str) -> bool:
        with suppress(RepositoryError):
            await self._git.run("cat-file", "-e", f"{commit}^{{commit}}")
            return True
        return False

    async def _verify(self, commit: str, signers: Path) -> None:
        """Check the signature of a commit by keys of SSH or OpenPGP, whichever the file holds."""
        is_openpgp = OPENPGP_KEYS in read_named(signers)
        if is_openpgp and shutil.which("gpg") is None:
            raise RepositoryError(not_installed("gpg"))
        options = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}")
        try:
            with temporary_folder("gpg") as keys:
                known = {"GNUPGHOME": str(keys)}
                if is_openpgp:
                    options = ("-c", "gpg.format=openpgp", "-c", "gpg.minTrustLevel=undefined")
                    await self._git.run_program(("gpg", *GPG_OPTIONS, "--import", str(signers)), known)
                await self._git.run(*options, "verify-commit", commit, more=known)
        except RepositoryError as error:
            raise RepositoryError(
                said("{commit} is not signed by somebody whom the settings name.", commit=commit[:12]),
                hint=said("Sign the commit with a key of `signers_file`, or add the key there."),
            ) from error


def _size(folder: Path) -> int:
    """Return how many bytes the files of a folder have, which nobody else changes meanwhile."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _remove_partial(place: Path) -> None:
    """Remove what fetches that were ended left of their packs; nobody else fetches into it meanwhile."""
    for partial in place.glob("objects/pack/tmp_*"):
        partial.unlink(missing_ok=True)


def _remove_large(place: Path) -> bool:
    """Remove a mirror that is too large; returns whether it was."""
    _remove_partial(place)
    is_too_large = _size(place) > MOST_MIRROR_BYTES
    if is_too_large:
        shutil.rmtree(place)
    return is_too_large


def digest(*parts: str) -> str:
    """Return a name for what an address, with others, stands for."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _names(ref: str) -> tuple[str, ...]:
    if ref == "HEAD" or ref.startswith("refs/"):
        return (f"{ref}^{{}}", ref)
    return tuple(f"refs/{kind}/{ref}{peeled}" for kind, peeled in (("tags", "^{}"), ("tags", ""), ("heads", "")))
