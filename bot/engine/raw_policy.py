"""Judge the files that Compose would read, before it reads them.

`env_file: /proc/self/environ` would put our own environment into the model, and a remote `include` would fetch what
nobody has reviewed. So every file named must lie in the stack's folder, unless the settings allow it by name.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from roas.engine.client import EngineClients
from roas.engine.compose import commands
from roas.engine.compose.commands import ComposeProject
from roas.engine.compose.runner import ComposeRunner
from roas.engine.model_text import read_resolved
from roas.engine.places import is_inside
from roas.engine.policy import ComposePolicy
from roas.engine.raw_files import FileReference, RawFile, as_written, references_of
from roas.engine.raw_yaml import read_raw
from roas.engine.violation import Violation
from roas.errors import ComposeFileError
from roas.models.environment import Environment

MOST_FILES = 200


class RawPolicy:
    """Follow the files of one stack from the first to the last that it includes or extends."""

    def __init__(self, clients: EngineClients, runner: ComposeRunner, policy: ComposePolicy) -> None:
        self._clients = clients
        self._runner = runner
        self._policy = policy

    async def check(self, environment: Environment, variables: Mapping[str, str]) -> tuple[FileReference, ...]:
        """Return every file that is named, or raise ComposePolicyError that lists every violation.

        Raises ComposeFileError for a file that does not parse.
        """
        base = environment.compose_files[0].parent
        pending = [RawFile(path, base) for path in environment.compose_files]
        seen: set[RawFile] = set()
        named: dict[FileReference, None] = {}
        # Before anything is read: a message about a path could quote what a stolen env file says.
        self._policy.refuse(list(_escaping(environment, self._policy.state_dir)), environment)
        found: list[Violation] = []
        while pending:
            files = list(dict.fromkeys(file for file in pending if file not in seen))
            seen.update(files)
            if len(seen) > MOST_FILES:
                raise ComposeFileError("The compose file includes too many files.", hint="Include fewer.")
            references = await self._clients.local(partial(_read, files))
            plain = await self._interpolated(references, environment, variables)
            pending = []
            for reference in plain:
                named[reference] = None
                violations = self._policy.without_allowed(self._judge(reference, environment), environment)
                found += violations
                if not violations and (file := reference.file()) is not None:
                    pending.append(file)
        self._policy.refuse(found, environment)
        return tuple(named)

    def _judge(self, reference: FileReference, environment: Environment) -> Iterator[Violation]:
        if reference.is_remote:
            yield Violation(f"{reference.text} from another machine", "")
            return
        yield from _misplaced(reference, environment.folder.resolve())
        if is_inside(reference.target.resolve(), self._policy.state_dir):
            yield Violation(f"{reference.text}, which is the bot's own state", f"state_dir:{reference.who}")

    async def _interpolated(
        self, references: list[FileReference], environment: Environment, variables: Mapping[str, str]
    ) -> list[FileReference]:
        """Have Compose itself interpolate the variables, from a file that holds nothing but these paths."""
        texts = (text for reference in references if not reference.included for text in reference.texts)
        labels = {f"path-{index}": text for index, text in enumerate(sorted({text for text in texts if "$" in text}))}
        filled = await self._fill(labels, environment, variables) if labels else {}
        known = {text: filled[label] for label, text in labels.items()}
        return [reference.settled(known) for reference in references]

    async def _fill(
        self, labels: Mapping[str, str], environment: Environment, variables: Mapping[str, str]
    ) -> Mapping[str, str]:
        with tempfile.TemporaryDirectory(prefix="roas-paths-") as folder:
            path = Path(folder) / "paths.yml"
            path.write_text(_model_of(labels), encoding="utf-8")
            project = ComposeProject(environment.project, (path,), environment.env_files)
            output = await self._runner.run(
                commands.config(project), environment, variables=variables, starts_programs=False
            )
        filled: Mapping[str, str] = read_resolved(output.stdout)["services"]["paths"]["labels"]
        return filled


def _model_of(labels: Mapping[str, str]) -> str:
    """Write the paths as they are: their variables are to be filled in. JSON is YAML."""
    return json.dumps({"services": {"paths": {"image": "none", "labels": labels}}}, ensure_ascii=False)


def _read(files: list[RawFile]) -> list[FileReference]:
    return [
        reference for file in files for document in read_raw(file.path) for reference in references_of(document, file)
    ]


def _escaping(environment: Environment, state_dir: Path) -> Iterator[Violation]:
    """Find the stack's own files that are links to elsewhere; what the settings name elsewhere may be there."""
    folder = environment.folder
    for kind, paths in (("compose_file", environment.compose_files), ("env_file", environment.env_files)):
        for path in paths:
            target = path.resolve()
            if path.is_relative_to(folder) and not target.is_relative_to(folder.resolve()):
                yield Violation(f"{path.name} is a link to {target}, outside the stack's folder", f"{kind}:{path}")
            elif path.is_relative_to(folder) and is_inside(target, state_dir):
                yield Violation(f"{path.name} is a link to {target}, the bot's own state", f"state_dir:{path.name}")


def _misplaced(reference: FileReference, folder: Path) -> Iterator[Violation]:
    entry = f"{reference.kind}:{reference.path}"
    target = reference.target.resolve()
    if "$" in reference.path or "$" in reference.project_folder:
        yield Violation(f"{reference.text}, whose variables cannot be known here", entry)
    elif as_written(reference.target).resolve() != target:
        yield Violation(f"{reference.text}, which is one file by its text and another by its links", "")
    elif not target.is_relative_to(folder):
        yield Violation(f"{reference.text}, outside the stack's folder", entry)
    elif reference.is_compose_file and not target.exists():
        yield Violation(f"{reference.text}, which is not there", entry)
