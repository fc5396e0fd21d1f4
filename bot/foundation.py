"""Open what every room of the application stands on: the journal, the engine, and the bus between the rooms."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roas.concurrency import begun
from roas.engine.model.secret_sources import stack_secrets
from roas.engine.stack_engine import StackEngine
from roas.engine_opening import OpenedEngine, open_engine
from roas.errors import RoasError
from roas.events import EventBus
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.settings import Settings
from roas.state.manager import StateManager
from roas.temporary import remove_left_folders

if TYPE_CHECKING:
    from roas.monitoring.metrics.bot_metrics import Metrics
    from roas.state.redis_parts import RedisParts

BOT = "BOT"


@dataclass(frozen=True, slots=True)
class Foundation:
    """Hold what every room stands on."""

    settings: Settings
    environments: Mapping[str, Environment]
    redactor: Redactor
    state: StateManager
    bus: EventBus
    engine: StackEngine
    redis: "RedisParts | None" = None
    metrics: "Metrics | None" = None


@asynccontextmanager
async def open_foundation(
    settings: Settings,
    *,
    instance_prefix: str = BOT,
    redactor: Redactor | None = None,
    redis: "RedisParts | None" = None,
    metrics: "Metrics | None" = None,
    only_looks: bool = False,
) -> AsyncIterator[Foundation]:
    """Open what the rooms stand on, and close it in reverse order. Raises StateError.

    Who `only_looks` makes no journal where there is none.
    """
    opening = open_engine(settings, instance_prefix=instance_prefix, redactor=redactor, only_looks=only_looks)
    async with opening as opened, open_journal(opened, redis=redis, metrics=metrics) as base:
        if instance_prefix == BOT:  # a command that is typed need not wait for this
            await base.state.check_whole()
        yield base


@asynccontextmanager
async def open_journal(
    opened: OpenedEngine, *, redis: "RedisParts | None" = None, metrics: "Metrics | None" = None
) -> AsyncIterator[Foundation]:
    """Open the journal, and what else the rooms stand on beside the engine. Raises StateError."""
    settings, redactor = opened.settings, opened.redactor
    if settings.redis_url is not None and redis is None:
        raise TypeError("these settings name a Redis: give REDIS of roas.state.redis_parts")
    async with AsyncExitStack() as stack:
        looking = await stack.enter_async_context(begun(asyncio.to_thread(_look_around, opened.environments)))
        state = await stack.enter_async_context(
            StateManager(opened.state_dir, instance=opened.instance, redact=redactor.redact)
        )
        bus = EventBus()
        stack.push_async_callback(bus.close)
        base = Foundation(settings, opened.environments, redactor, state, bus, opened.engine, redis, metrics)
        redactor.add(await looking)
        await _learn_releases(base)
        yield base


async def _learn_releases(base: Foundation) -> None:
    """Let the redactor know the secrets of what runs in any environment."""
    for model_hash in await base.state.releases.applied_models():
        with suppress(RoasError):  # whoever needs it says so
            await base.engine.load_model(model_hash)


def _look_around(known: Mapping[str, Environment]) -> tuple[str, ...]:
    """Remove what killed processes left in TMPDIR, and return the secrets of every environment's files.

    Those of one can turn up in a report of another.
    """
    remove_left_folders()
    return tuple(secret for environment in known.values() for secret in stack_secrets(environment))
