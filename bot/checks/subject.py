"""Define the input of an environment's checks, and gather it from the parts that provide it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

from roas.configuration.settings import Settings
from roas.errors import EngineUnavailableError, RoasError
from roas.messages.message import said
from roas.models.candidate import Delivery
from roas.models.environment import Environment
from roas.models.facts import DiscordFacts
from roas.models.stack import ServiceProxy, WantedImage
from roas.models.swarm import SwarmFacts
from roas.stack.interface import ResolvedStack
from roas.stack.machine.probe import DockerProbe
from roas.stack.proxy.proxied_service import ProxiedService
from roas.stack.resolution.version_use import version_names
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks

Answer = TypeVar("Answer")
RESOLVE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Provide all that the checks look at.

    Exactly one of `stack` and `stack_error` is given. `reads_working_copy` is False where a stored release is to be
    applied: then the compose files as they lie there today say nothing. Where the engine `has_nodes`, containers run on
    any of them, of which its own machine is one at most. `variables` is what interpolation gets besides the
    environment's own files and variables. A callable that is None means that there is nothing of it to check.
    """

    environment: Environment
    settings: Settings
    engine: DockerProbe
    stack: ResolvedStack | None = None
    stack_error: RoasError | None = None
    reads_working_copy: bool = True
    has_nodes: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    look_up_image: Callable[[str], Awaitable[WantedImage]] | None = None
    ping_redis: Callable[[], Awaitable[None]] | None = None
    discord_facts: Callable[[], Awaitable[DiscordFacts]] | None = None
    swarm: Callable[[], Awaitable[SwarmFacts | None]] | None = None
    proxied: Callable[[str, ServiceProxy], ProxiedService] | None = None
    unusable_targets: Callable[[], Awaitable[Mapping[str, RoasError]]] | None = None
    idle_webhooks: Callable[[], Awaitable[tuple[Delivery, ...]]] | None = None

    @property
    def services(self) -> Mapping[str, Any]:
        """Return the services of the resolved model; none where it did not resolve."""
        return dict(self.stack.model.get("services") or {}) if self.stack is not None else {}


class CachedCall(Generic[Answer]):
    """Call an asynchronous function at the first call only; its answer or its error is kept.

    An asker that gives up while the answer is under way leaves the question to the next one.
    """

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._answers: list[Answer] = []
        self._error: Exception | None = None

    async def __call__(self) -> Answer:
        """Return the answer. Raises what the function raised."""
        async with self._lock:
            if self._error is not None:
                raise self._error
            if not self._answers:
                try:
                    self._answers.append(await self._ask())
                except Exception as error:
                    self._error = error
                    raise
            return self._answers[0]


AskDiscord = Callable[[str], Awaitable[DiscordFacts]]


class EnvironmentSurvey:
    """Build the subject of a validation; a failure on the way becomes a finding, never an exception."""

    def __init__(
        self,
        settings: Settings,
        stacks: Stacks,
        *,
        ping_redis: Callable[[], Awaitable[None]] | None = None,
        discord_facts: AskDiscord | None = None,
        unusable_targets: Callable[[], Awaitable[Mapping[str, RoasError]]] | None = None,
        idle_webhooks: Callable[[str], Awaitable[tuple[Delivery, ...]]] | None = None,
    ) -> None:
        self._settings = settings
        self._stacks = stacks
        self._ping_redis = ping_redis
        self.discord_facts = discord_facts
        self._unusable_targets = unusable_targets
        self._idle_webhooks = idle_webhooks

    async def __call__(
        self,
        environment: Environment,
        version: str | None,
        model_hash: str | None,
        found: ResolvedStack | None = None,
    ) -> Subject:
        """Resolve the working copy, or load a stored release, and provide all that the checks look at."""
        stack = self._stacks.of(environment)
        subject = Subject(
            environment,
            self._settings,
            stack.probe(),
            reads_working_copy=model_hash is None,
            has_nodes=stack.replaces_by_itself,
            variables={} if version is None else dict.fromkeys(version_names(environment), version),
            ping_redis=self._ping_redis,
            discord_facts=None
            if self.discord_facts is None
            else CachedCall(partial(self.discord_facts, environment.name)),
            swarm=CachedCall(stack.swarm),
            proxied=stack.proxies.in_front_of,
            unusable_targets=self._unusable_targets,
            idle_webhooks=None if self._idle_webhooks is None else partial(self._idle_webhooks, environment.name),
        )
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                resolved = found or await _resolved(stack, version, model_hash)
        except RoasError as error:
            return replace(subject, stack_error=error)
        except TimeoutError:
            return replace(subject, stack_error=_hangs())
        return replace(subject, stack=resolved, look_up_image=None if model_hash else _look_up(stack, resolved))


async def _resolved(stack: Stack, version: str | None, model_hash: str | None) -> ResolvedStack:
    if model_hash is None:
        return await stack.resolve(version, write_contents=False)
    model = await stack.load_model(model_hash)
    return ResolvedStack(stack.environment, version or "", model, stack.definitions(model))


def _look_up(stack: Stack, resolved: ResolvedStack) -> Callable[[str], Awaitable[WantedImage]]:
    async def look_up(service: str) -> WantedImage:
        if service in resolved.wanted:
            return resolved.wanted[service]
        return (await stack.images.look_up(resolved, frozenset({service})))[service]

    return look_up


def _hangs() -> EngineUnavailableError:
    return EngineUnavailableError(
        said("{doing} did not end within {seconds} s.", doing="Compose", seconds=f"{RESOLVE_SECONDS:g}"),
        hint=said("The engine may be stalled or very busy: look at `docker ps` and the load of its machine."),
    )
