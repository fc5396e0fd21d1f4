"""Run git for one repository: bounded, and without the configuration of the user, the machine and the repository."""

import asyncio
import base64
import os
import shlex
import shutil
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from roas.errors import RepositoryError, RepositoryUnavailableError, cannot_read, not_installed
from roas.messages.message import said
from roas.models.environment import Repository
from roas.redaction import Learn
from roas.stack.compose.processes import end_process, exchange, start_process
from roas.stack.resolution.commit_files import too_much
from roas.temporary import temporary_folder

READ_SECONDS = 60.0
MOST_PACK_BYTES = 1 << 30
# What git may print, where it is not the content of files.
MOST_PRINTED_BYTES = 16 << 20
LONGEST_ERROR = 300
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


class GitProgram:
    """Run git in the mirror of a repository, and know its server. What runs a program raises RepositoryError."""

    def __init__(self, place: Path, repository: Repository, learn: Learn) -> None:
        self._place = place
        self._repository = repository
        self._learn = learn

    async def run(
        self,
        *arguments: str,
        seconds: float = READ_SECONDS,
        wanted: Sequence[str] = (),
        more: Mapping[str, str] = MappingProxyType({}),
        most: int = MOST_PRINTED_BYTES,
        room: int = MOST_PACK_BYTES,
    ) -> bytes:
        """Run git and return what it prints; it reads the lines that are `wanted`, and `more` variables."""
        git = shutil.which("git")
        if git is None:
            raise RepositoryError(not_installed("git"))
        return await self.run_program((git, *arguments), more, seconds, wanted, most, room)

    async def run_program(
        self,
        command: Sequence[str],
        more: Mapping[str, str] = MappingProxyType({}),
        seconds: float = READ_SECONDS,
        wanted: Sequence[str] = (),
        most: int = MOST_PRINTED_BYTES,
        room: int = MOST_PACK_BYTES,
    ) -> bytes:
        """Run a program in the mirror, bounded in time, in what it may print, and in what it may write (`room`)."""
        place = self._place if self._place.is_dir() else Path("/")
        bounded = ("prlimit", f"--fsize={min(room, MOST_PACK_BYTES)}", "--core=0", *command)
        with temporary_folder("git") as home:
            process = await start_process(bounded, {**self._variables(home), **more}, place, stdin=PIPE)
            try:
                async with asyncio.timeout(seconds):
                    given = "".join(f"{name}\n" for name in wanted).encode()
                    output, errors = await exchange(process, given, most, too_much())
            except TimeoutError as error:
                raise away(
                    self._repository,
                    said("{program} did not end within {seconds} s", program="git", seconds=f"{seconds:g}"),
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
        for name, value in self.login().items():
            configuration["http.extraHeader"] = f"{name}: {value}"
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
            "GIT_SSH_COMMAND": shlex.join(self.ssh()),
            "GIT_CONFIG_COUNT": str(len(configuration)),
            **{name: value for row in numbered for name, value in (row[:2], row[2:])},
        }

    def login(self) -> dict[str, str]:
        """Return the header by which a server over HTTPS knows us."""
        if self._repository.token_file is None:
            return {}
        token = read_named(self._repository.token_file)
        login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        self._learn((token, login))
        return {"Authorization": f"Basic {login}"}

    def ssh(self) -> list[str]:
        """Return ssh with nothing of the user's configuration: the deploy key, and the host's key, or none."""
        repository = self._repository
        ssh = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=15"]
        known = repository.known_hosts_file or Path("/dev/null")
        ssh += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
        ssh += ["-o", "GlobalKnownHostsFile=/dev/null"]
        if repository.key_file is not None:
            self._learn([read_named(repository.key_file)])
            ssh += ["-i", str(repository.key_file)]
        return ssh

    def _fault(self, errors: str) -> RepositoryError:
        lines = [line for line in errors.splitlines() if line.startswith(("fatal:", "error:"))] or errors.splitlines()
        text = (
            (lines[0] if lines else "git failed")
            .removeprefix("fatal: ")
            .removeprefix("error: ")[:LONGEST_ERROR]
            .rstrip(".")
        )
        if "couldn't find remote ref" in errors or "not our ref" in errors:
            return self.no_ref()
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
        if "bad config" in errors:
            return RepositoryError(
                said("The `.gitmodules` of {url} is not one: {error}.", url=self._repository.shown, error=text),
            )
        if any(word in errors for word in ("fsck", "object", "not allowed", "signature")):
            return RepositoryError(
                said("git refuses {url}: {error}", url=self._repository.shown, error=text),
                hint=said("Look at the repository: somebody may have tampered with it."),
            )
        return away(self._repository, text)

    def no_ref(self) -> RepositoryError:
        """Return the error for a ref that the repository does not have."""
        return RepositoryError(
            said("{url} has no {ref}.", url=self._repository.shown, ref=self._repository.ref),
            hint=said("Correct `ref` of the environment's repository, or push it."),
        )


def read_named(path: Path) -> str:
    """Return what a file that the settings name says. Raises RepositoryError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RepositoryError(cannot_read(path, error)) from error


def away(repository: Repository, cause: str) -> RepositoryUnavailableError:
    """Return the error for a server that does not answer as it should."""
    return RepositoryUnavailableError(
        said("{url} cannot be fetched: {cause}.", url=repository.shown, cause=cause),
        hint=said("See whether the address, the key and the host's key are right, and whether the server answers."),
    )
