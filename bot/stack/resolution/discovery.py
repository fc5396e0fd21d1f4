"""Find every file that a stack's model is made of, judge where it leads, and copy it.

Which files to copy is said in the files themselves, and partly by variables. So this goes round until nothing new
appears. An optional env file, and the `.env` beside what is included, are looked for by name: without them Compose
would resolve to another model and say nothing. The jail is what keeps Compose from all else: a file that is named in a
way that nobody here understands is not there.
"""

import pwd
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from roas.configuration.compose_yaml import read_compose
from roas.errors import ComposeFileError, missing_files
from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.compose.resolved_copies import ResolvedCopies
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.engine import EngineClients
from roas.stack.model.raw_files import FileReference, RawFile, as_written, references_of
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.power import Power
from roas.stack.sources.opening import resolve
from roas.stack.sources.snapshot import MOST_FILES, SourceSnapshot

MOST_REFERENCES = 5000
# What `~` and `${HOME}` mean to who types Compose in a folder.
HOME = "HOME"
HOMES = Path("/home")
COMPOSE_FILE, ENV_FILE = "compose_file", "env_file"


class SourceDiscovery:
    """Follow the files of one stack from the first to the last that it includes or extends."""

    def __init__(
        self,
        clients: EngineClients,
        copies: ResolvedCopies,
        policy: ComposePolicy,
        environment: Environment,
        snapshot: SourceSnapshot,
    ) -> None:
        self._clients = clients
        self._copies = copies
        self._policy = policy
        self._environment = environment
        self._snapshot = snapshot
        self._folder = resolve(environment.folder)
        self._withheld = policy.withheld(environment)
        named = (*environment.compose_files, *environment.env_files)
        self._own = frozenset(resolve(path) for path in named if not self._is_led_elsewhere(path))

    async def collect(self, variables: Mapping[str, str]) -> tuple[FileReference, ...]:
        """Copy every file that is named and return what names it, or raise ComposePolicyError that lists all faults.

        Raises ComposeFileError for a file that does not parse, or that cannot be copied.
        """
        environment = self._environment
        await self._clients.local(self._copy_own)
        base = environment.compose_files[0].parent
        pending = [RawFile(as_written(path), base) for path in environment.compose_files]
        seen: set[RawFile] = set()
        named: dict[FileReference, None] = {}
        found: list[Power] = []
        while pending:
            files = list(dict.fromkeys(file for file in pending if file not in seen))
            seen.update(files)
            if len(seen) > MOST_FILES:
                raise ComposeFileError(
                    said("The compose file names more than {most_files} files.", most_files=MOST_FILES)
                )
            references = await self._clients.local(partial(self._read, files))
            plain = await self._interpolated(references, variables)
            named.update(dict.fromkeys(plain))
            pending, violations = await self._clients.local(partial(self._copy_named, plain))
            found += violations
        self._policy.refuse(found, environment)
        return tuple(named)

    def _copy_own(self) -> None:
        """Copy what the settings name. It is judged first: a message about a path could quote a stolen env file."""
        environment = self._environment
        elsewhere = said(
            "COMPOSE_FILE in the stack's .env, which names a file outside the stack's folder, or another environment's"
        )
        found = [Power(elsewhere, "") for _ in environment.files_outside]
        own = [(COMPOSE_FILE, as_written(path), resolve(path)) for path in environment.compose_files]
        own += [(ENV_FILE, as_written(path), resolve(path)) for path in environment.env_files]
        for kind, path, resolved in own:
            # The settings may name a file elsewhere, a link in the folder may not.
            if path.is_relative_to(environment.folder):
                found += self._violations(FileReference(kind, path.name, str(path), environment.folder), resolved)
        self._policy.refuse(found, environment)
        for _, path, resolved in own:
            if not self._snapshot.copy(path, resolved):
                raise missing_files(path)

    def _is_led_elsewhere(self, path: Path) -> bool:
        """Return whether a link in the stack's folder decides which file has a path; the settings may name any."""
        written, folder = as_written(path), self._environment.folder
        return written.is_relative_to(folder) and resolve(path) != self._folder / written.relative_to(folder)

    def _violations(self, reference: FileReference, resolved: Path) -> list[Power]:
        """Judge where a file leads that the settings or a compose file name."""
        found: list[Power] = []
        if not resolved.is_relative_to(self._folder):
            text = said("{text}, outside the stack's folder", text=reference.text)
            found.append(Power(text, f"{reference.kind}:{reference.path}"))
        # What a shared file of variables says is judged by value, for the services that are left.
        is_own = reference.kind in {COMPOSE_FILE, ENV_FILE} and resolved in self._own
        if self._withheld.hides(resolved) and not is_own:
            text = said(
                "{text}, which is the bot's own, another environment's or the repository's", text=reference.text
            )
            found.append(Power(text, f"state_dir:{reference.who}"))
        return self._policy.without_allowed(found, self._environment)

    def _copy_named(self, references: list[FileReference]) -> tuple[list[RawFile], list[Power]]:
        """Copy what may be read; returns the compose files among it, and what may not."""
        files: list[RawFile] = []
        found: list[Power] = []
        for reference in references:
            target = as_written(reference.target)
            resolved = resolve(target)
            violations = self._violations(reference, resolved)
            found += violations
            if violations:
                continue
            copied = self._snapshot.copy(target, resolved, reference.path, reference.project_folder)
            if copied and (file := reference.file()) is not None:
                files.append(file)
        return files, found

    def _read(self, files: list[RawFile]) -> list[FileReference]:
        return read_references(files, self._snapshot.content)

    async def _interpolated(self, references: list[FileReference], variables: Mapping[str, str]) -> list[FileReference]:
        """Have Compose itself interpolate the variables, from a file that holds nothing but these paths."""
        texts = (text for reference in references if not reference.included for text in reference.texts)
        found = {text for text in texts if "$" in text}
        known = await self._copies.interpolate(self._environment, self._snapshot, variables, found)
        return [reference.settled(known, variables.get(HOME)) for reference in references]


def read_references(files: Iterable[RawFile], content: Callable[[Path], bytes]) -> list[FileReference]:
    """Return what compose files name. Raises ComposeFileError where that is too much, or one does not parse."""
    found = (
        reference
        for file in files
        for document in read_compose(file.path, content(file.path))
        for reference in references_of(document, file)
    )
    # Lists in aliases in lists make millions of a few lines.
    kept = list(islice(found, MOST_REFERENCES + 1))
    if len(kept) > MOST_REFERENCES:
        raise ComposeFileError(said("The compose file names more than {most_files} files.", most_files=MOST_REFERENCES))
    return kept


def home_of_owner(folder: Path) -> str | None:
    """Return the home of a folder's owner; None where nobody here knows it.

    A container has users of its own, and all hosts have the same root: there, the folder's path says the others'.
    """
    try:
        owner = folder.stat().st_uid
        if owner and own_container_id() is not None:
            return str(HOMES / folder.relative_to(HOMES).parts[0])
        return pwd.getpwuid(owner).pw_dir
    except (OSError, KeyError, ValueError, IndexError):
        return None
