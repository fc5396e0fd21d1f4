"""Have Compose resolve copies of a stack's files; what it made of the same bytes before is used again.

A jailed command sees the copy and nothing else, so that the same copy, variables and Compose give the same model. The
files themselves are read each time: a change is seen, however soon it comes after a look.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from roas.models.environment import Environment
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.faults import unset_variables
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.engine import EngineClients
from roas.stack.model.services import services_of
from roas.stack.model.text import may_miss_breaks, read_resolved, with_exact_texts
from roas.stack.sources.snapshot import SourceSnapshot

PATHS_FILE = "paths.yml"
PROFILES = b"profiles"
REMEMBERED = 16
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ResolvedCopy:
    """Hold what Compose makes of a copy; nobody changes the model, which all who ask for the same copy share.

    `unset` are variables that it found no value for, `inactive` the services of inactive profiles.
    """

    model: Mapping[str, Any] = field(repr=False)
    unset: tuple[str, ...] = ()
    inactive: frozenset[str] = frozenset()


class ResolvedCopies:
    """Run Compose in its jail once for each copy."""

    def __init__(self, clients: EngineClients, runner: ComposeRunner) -> None:
        self._clients = clients
        self._runner = runner
        self._models = _Remembered[ResolvedCopy]()
        self._texts = _Remembered[Mapping[str, str]]()

    async def resolve(
        self, environment: Environment, snapshot: SourceSnapshot, variables: Mapping[str, str]
    ) -> ResolvedCopy:
        """Merge and interpolate a copy. Raises ComposeFileError, EngineError, EngineUnavailableError."""

        async def ask() -> ResolvedCopy:
            await self._clients.local(snapshot.write)
            project = _copied_project(environment, snapshot)
            output = await self._runner.run_jailed(commands.config(project), environment, snapshot, variables)
            read = await self._clients.local(lambda: read_resolved(output.stdout))
            if may_miss_breaks(output.stdout):
                exact = await self._runner.run_jailed(
                    commands.config_as_json(project), environment, snapshot, variables
                )
                read = await self._clients.local(lambda: with_exact_texts(read, exact.stdout))
            model = await self._clients.local(lambda: snapshot.mapping.model_back(read))
            inactive = await self._inactive_services(environment, snapshot, variables, model)
            return ResolvedCopy(model, unset_variables(output.stderr), inactive)

        key = await self._key(environment, snapshot, variables, ())
        return await self._models.get(key, ask)

    async def interpolate(
        self, environment: Environment, snapshot: SourceSnapshot, variables: Mapping[str, str], texts: Iterable[str]
    ) -> Mapping[str, str]:
        """Return texts with their variables filled in, by a file that holds nothing else. Raises as `resolve` does."""
        labels = {f"path-{index}": text for index, text in enumerate(sorted(set(texts)))}

        async def ask() -> Mapping[str, str]:
            await self._clients.local(snapshot.write)
            path = snapshot.scratch / PATHS_FILE
            await self._clients.local(lambda: path.write_text(_model_of(labels), encoding="utf-8"))
            env_files = tuple(map(snapshot.mapping.to_copy, environment.env_files))
            arguments = commands.config(ComposeProject(environment.project, (path,), env_files))
            output = await self._runner.run_jailed(arguments, environment, snapshot, variables)
            filled: Mapping[str, str] = read_resolved(output.stdout)["services"]["paths"]["labels"]
            return {text: snapshot.mapping.text_back(filled[label]) for label, text in labels.items()}

        if not labels:
            return {}
        return await self._texts.get(await self._key(environment, snapshot, variables, (*labels.values(),)), ask)

    async def _key(
        self,
        environment: Environment,
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
        texts: tuple[str, ...],
    ) -> str:
        """Name all that an answer is made of by one hash."""
        files = (map(str, paths) for paths in (environment.compose_files, environment.env_files))
        asked = [environment.project, *map(list, files), list(texts)]
        inputs = await self._clients.local(lambda: self._runner.jailed_inputs(environment, snapshot, variables))
        return hashlib.sha256(json.dumps([asked, inputs]).encode()).hexdigest()

    async def _inactive_services(
        self,
        environment: Environment,
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
        model: Mapping[str, Any],
    ) -> frozenset[str]:
        """Return the services of inactive profiles: who started one by hand keeps it."""
        if not any(PROFILES in content for content in snapshot.contents.values()):
            return frozenset()
        arguments = commands.all_services(_copied_project(environment, snapshot))
        output = await self._runner.run_jailed(arguments, environment, snapshot, variables)
        return frozenset(output.stdout.split()) - services_of(model).keys()


class _Remembered(Generic[Answer]):
    """Keep the last answers; who asks what somebody else is asking already waits for that one's answer."""

    def __init__(self) -> None:
        self._known: dict[str, Answer] = {}
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, key: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer of before, or a new one; where another one who asked got none, this one asks as well."""
        async with self._asking.setdefault(key, asyncio.Lock()):
            answer = self._known.pop(key, None)
            self._known[key] = answer = answer if answer is not None else await ask()
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the one that was used longest ago
        return answer


def _copied_project(environment: Environment, snapshot: SourceSnapshot) -> ComposeProject:
    files, env_files = (
        tuple(map(snapshot.mapping.to_copy, paths)) for paths in (environment.compose_files, environment.env_files)
    )
    return ComposeProject(environment.project, files, env_files)


def _model_of(labels: Mapping[str, str]) -> str:
    """Write the paths as they are: their variables are to be filled in. JSON is YAML."""
    return json.dumps({"services": {"paths": {"image": "none", "labels": labels}}}, ensure_ascii=False)
