"""Judge the files that Compose would read, before it reads them.

`env_file: /proc/self/environ` would put our own environment into the model, and a remote `include` would fetch what
nobody has reviewed. So every file named must lie in the stack's folder, unless the settings allow it by name.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from bot.engine.client import EngineClients
from bot.engine.compose import commands
from bot.engine.compose.commands import ComposeProject
from bot.engine.compose.runner import ComposeRunner
from bot.engine.model_text import read_resolved
from bot.engine.policy import ComposePolicy, Violation
from bot.engine.raw_files import FileReference, RawFile, read_raw, references_of
from bot.errors import ComposeFileError
from bot.models.environment import Environment

MOST_FILES = 200
REMOTE_SIGNS = ("://", "git@", ".git#")
REMOTE_HOSTS = ("github.com/", "gitlab.com/", "bitbucket.org/")


class RawPolicy:
    """Follow the files of one stack from the first to the last that it includes or extends."""

    def __init__(self, clients: EngineClients, runner: ComposeRunner, policy: ComposePolicy) -> None:
        self._clients = clients
        self._runner = runner
        self._policy = policy

    async def check(self, environment: Environment, variables: Mapping[str, str]) -> None:
        """Raise ComposePolicyError that lists every violation, ComposeFileError for a file that does not parse."""
        base = environment.compose_files[0].parent
        pending = [RawFile(path, base) for path in environment.compose_files]
        seen: set[Path] = set()
        found = [one for one in _escaping(environment) if not self._policy.allows(one)]
        while pending:
            files = [file for file in pending if file.path.resolve() not in seen]
            seen |= {file.path.resolve() for file in files}
            if len(seen) > MOST_FILES:
                raise ComposeFileError("The compose file includes too many files.", hint="Include fewer.")
            references = await self._clients.local(partial(_read, files))
            plain = await self._interpolated(references, environment, variables)
            pending = []
            for reference in plain:
                violation = _judge(reference, environment.folder.resolve())
                if violation is not None and not self._policy.allows(violation):
                    found.append(violation)
                elif (file := reference.file()) is not None:
                    pending.append(file)
        self._policy.refuse(found)

    async def _interpolated(
        self, references: list[FileReference], environment: Environment, variables: Mapping[str, str]
    ) -> list[FileReference]:
        """Let Compose itself fill the variables in, from a file that holds nothing but these paths."""
        open_ones = [reference for reference in references if "$" in reference.path and not reference.included]
        if not open_ones:
            return references
        labels = {f"path-{index}": reference.path for index, reference in enumerate(open_ones)}
        filled = await self._fill(labels, environment, variables)
        by_old = {(reference, index): filled[f"path-{index}"] for index, reference in enumerate(open_ones)}
        replaced = {reference: reference.with_path(path) for (reference, _), path in by_old.items()}
        return [replaced.get(reference, reference) for reference in references]

    async def _fill(
        self, labels: Mapping[str, str], environment: Environment, variables: Mapping[str, str]
    ) -> Mapping[str, str]:
        with tempfile.TemporaryDirectory(prefix="roas-paths-") as folder:
            path = Path(folder) / "paths.yml"
            path.write_text(_quoted_model(labels), encoding="utf-8")
            project = ComposeProject(environment.project, (path,), environment.env_files)
            output = await self._runner.run(commands.config(project), environment, variables=variables)
        filled: Mapping[str, str] = read_resolved(output.stdout)["services"]["paths"]["labels"]
        return filled


def _quoted_model(labels: Mapping[str, str]) -> str:
    """Write the paths as they are: their variables are to be filled in."""
    lines = [f"      {name}: '{path.replace(chr(39), chr(39) * 2)}'" for name, path in labels.items()]
    return "\n".join(["services:", "  paths:", "    image: none", "    labels:", *lines, ""])


def _read(files: list[RawFile]) -> list[FileReference]:
    return [
        reference for file in files for document in read_raw(file.path) for reference in references_of(document, file)
    ]


def _escaping(environment: Environment) -> Iterator[Violation]:
    """Find the stack's own files that are links to elsewhere; what the settings name elsewhere may be there."""
    folder = environment.folder
    for kind, paths in (("compose_file", environment.compose_files), ("env_file", environment.env_files)):
        for path in paths:
            if path.is_relative_to(folder) and not path.resolve().is_relative_to(folder.resolve()):
                yield Violation(
                    f"{path.name} is a link to {path.resolve()}, outside the stack's folder", f"{kind}:{path}"
                )


def _judge(reference: FileReference, folder: Path) -> Violation | None:
    if "$" in reference.path:
        return Violation(
            f"{reference.words}, whose variables cannot be known here", f"{reference.kind}:{reference.path}"
        )
    if any(sign in reference.path for sign in REMOTE_SIGNS) or reference.path.startswith(REMOTE_HOSTS):
        return Violation(f"{reference.words} from another machine", f"{reference.kind}:{reference.path}")
    target = reference.target.resolve()
    if not target.is_relative_to(folder):
        return Violation(f"{reference.words}, outside the stack's folder", f"{reference.kind}:{reference.path}")
    if reference.is_compose_file and not target.exists():
        return Violation(f"{reference.words}, which is not there", f"{reference.kind}:{reference.path}")
    return None
