"""Open what every room of the application stands on: the journal, the engine, and the bus between the rooms."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from roas.dataclass import dataclass
from roas.engine.model.secret_sources import of_variables, stack_secrets
from roas.engine.stack_engine import StackEngine
from roas.environments import environments
from roas.errors import RoasError
from roas.events import EventBus
from roas.models.environment import Environment
from roas.redaction import Redactor, hide_everywhere
from roas.settings import Settings
from roas.state.looked_at import folder_of_journal
from roas.state.manager import StateManager
from roas.temporary import remove_left_folders
from roas.validation.discord_facts import DiscordFactsReader

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
    discord: DiscordFactsReader
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
    """Open the journal and what else the rooms stand on, and close it in reverse order. Raises StateError.

    Who `only_looks` makes no journal where there is none.
    """
    if settings.redis_url is not None and redis is None:
        raise TypeError("these settings name a Redis: give REDIS of roas.state.redis_parts")
    async with AsyncExitStack() as stack:
        redactor = redactor or Redactor()
        _seed(redactor, settings)
        stack.callback(hide_everywhere(redactor))
        folder = stack.enter_context(folder_of_journal(settings.state_dir, only_looks=only_looks))
        opened = StateManager(folder, instance_prefix=instance_prefix, redact=redactor.redact)
        state = await stack.enter_async_context(opened)
        if instance_prefix == BOT:  # a command that is typed need not wait for this
            await state.check_whole()
        await asyncio.to_thread(remove_left_folders)
        bus = EventBus()
        stack.push_async_callback(bus.close)
        engine = StackEngine(
            state_dir=state.folder,
            instance_id=state.instance_id,
            policy_allow=settings.compose_policy_allow,
            redactor=redactor,
            token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        )
        stack.push_async_callback(engine.close)
        discord = DiscordFactsReader(settings)
        stack.push_async_callback(discord.close)
        base = Foundation(settings, environments(settings), redactor, state, bus, engine, discord, redis, metrics)
        await _learn_stacks(base)
        yield base


def _seed(redactor: Redactor, settings: Settings) -> None:
    """Let the redactor know what the settings hold: their own secrets, and the stacks' variables."""
    known = environments(settings)
    redactor.keep(name for one in known.values() for name in (one.name, one.project))
    redactor.add(settings.secrets)
    for one in known.values():
        redactor.add(of_variables(one.variables))


async def _learn_stacks(base: Foundation) -> None:
    """Let the redactor know the secrets of every environment: those of one can turn up in a report of another."""
    for environment in base.environments.values():
        base.redactor.add(await asyncio.to_thread(_secrets_of, environment))
    for model_hash in await base.state.releases.applied_models():
        with suppress(RoasError):  # whoever needs it says so
            await base.engine.load_model(model_hash)


def _secrets_of(environment: Environment) -> tuple[str, ...]:
    return tuple(stack_secrets(environment))
