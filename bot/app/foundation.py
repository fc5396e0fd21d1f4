"""Open what every room of the application stands on: the journal, the engine, and the bus between the rooms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from roas.app.shared_state import SharedState, join, shared_state
from roas.concurrency import in_thread
from roas.configuration.environments import Engines, environments, plain_names
from roas.configuration.settings import Settings
from roas.deploy.handover.state_folder import refuse_missing_journal
from roas.errors import RoasError
from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.models.environment import Environment
from roas.redaction import Redactor, hide_everywhere
from roas.stack.interface import write_freely
from roas.stack.model.secret_sources import of_variables, stack_secrets
from roas.stack.stacks import Stacks
from roas.state.journal.place import folder_of_journal
from roas.state.living_processes import INSTANCES, Instance
from roas.state.manager import StateManager
from roas.temporary import remove_left_folders

BOT, COMMAND = "BOT", "CLI"


@dataclass(frozen=True, slots=True)
class Foundation:
    """Hold what every room stands on; `engines` are those environments that have one, and are not on many hosts."""

    settings: Settings
    environments: Mapping[str, Environment]
    engines: Mapping[str, Environment]
    redactor: Redactor
    state: StateManager
    bus: EventBus
    stacks: Stacks
    metrics: Metrics | None = None
    shared: SharedState | None = None


@asynccontextmanager
async def open_foundation(
    settings: Settings,
    *,
    instance_prefix: str = BOT,
    metrics: Metrics | None = None,
    read_only: bool = False,
) -> AsyncIterator[Foundation]:
    """Open what the rooms stand on, and close it in reverse order; what the settings hold is hidden meanwhile.

    Who `read_only` makes no journal where there is none. Raises StateError, EngineError where there is no place.
    """
    redactor, known = Redactor(), environments(settings)
    _seed(redactor, settings, known)
    async with AsyncExitStack() as stack:
        stack.callback(hide_everywhere(redactor))
        folder = stack.enter_context(folder_of_journal(settings.state_dir, read_only=read_only))
        state_dir = folder.expanduser().resolve()
        instance = Instance(state_dir / INSTANCES, instance_prefix)
        shared = shared_state(settings, known, state_dir)
        state = StateManager(
            state_dir, instance=instance, redact=redactor.redact, shared=None if shared is None else shared.log
        )
        stacks = Stacks(
            state_dir=state_dir,
            instance_id=instance.id,
            policy_allow=settings.compose_policy_allow,
            redactor=redactor,
            token=settings.discord_token.get_secret_value() if settings.discord_token else "",
            scales=state.scales.of,
            known_swarms=state.known_swarms,
            require_lead=write_freely if shared is None else shared.log.require_lead,
        )
        stack.push_async_callback(stacks.close)
        await stack.enter_async_context(state)
        if shared is not None and instance_prefix != COMMAND:
            await join(state)
        bus = EventBus()
        stack.push_async_callback(bus.close)
        engines = Engines(known)
        base = Foundation(settings, known, engines, redactor, state, bus, stacks, metrics, shared)
        redactor.add(await in_thread(_clear_and_read_secrets, known))
        await refuse_missing_journal(state, stacks, engines.values(), settings.state_dir.expanduser().resolve())
        await _learn_releases(base)
        if instance_prefix == BOT:  # a command that is typed need not wait for this
            await state.check_whole()
        yield base


def _seed(redactor: Redactor, settings: Settings, known: Mapping[str, Environment]) -> None:
    """Let the redactor know what the settings hold: their own secrets, and the stacks' variables."""
    redactor.keep(name for environment in known.values() for name in (environment.name, environment.project))
    redactor.add(settings.secrets)
    for environment in known.values():
        redactor.add(of_variables(environment.variables))


async def _learn_releases(base: Foundation) -> None:
    """Let the redactor know the secrets of what runs in any environment."""
    for model_hash in await base.state.releases.applied_models():
        with suppress(RoasError):  # whoever needs it says so
            await base.stacks.load_model(model_hash)


def _clear_and_read_secrets(known: Mapping[str, Environment]) -> tuple[str, ...]:
    """Remove what killed processes left in TMPDIR, and return the secrets of every environment's files.

    Those of one can turn up in a report of another.
    """
    remove_left_folders()
    return tuple(secret for name in plain_names(known) for secret in stack_secrets(known[name]))
