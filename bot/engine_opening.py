"""Open what reads the files of the stacks: it needs no journal, so that a command reads them while that is opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from roas.engine.model.secret_sources import of_variables
from roas.engine.stack_engine import StackEngine
from roas.environments import environments
from roas.models.environment import Environment
from roas.redaction import Redactor, hide_everywhere
from roas.settings import Settings
from roas.state.instance import INSTANCES, Instance
from roas.state.looked_at import folder_of_journal


@dataclass(frozen=True, slots=True)
class OpenedEngine:
    """Hold what is there before the journal is opened, for the process that `instance` names."""

    settings: Settings
    environments: Mapping[str, Environment]
    redactor: Redactor
    state_dir: Path
    instance: Instance
    engine: StackEngine


@asynccontextmanager
async def open_engine(
    settings: Settings, *, instance_prefix: str, redactor: Redactor | None = None, only_looks: bool = False
) -> AsyncIterator[OpenedEngine]:
    """Provide the engine, and close it afterwards; what the settings hold is hidden meanwhile.

    Who `only_looks` gets a folder of its own where there is no journal. Raises EngineError where there is no place.
    """
    redactor, known = redactor or Redactor(), environments(settings)
    _seed(redactor, settings, known)
    async with AsyncExitStack() as stack:
        stack.callback(hide_everywhere(redactor))
        folder = stack.enter_context(folder_of_journal(settings.state_dir, only_looks=only_looks))
        state_dir = folder.expanduser().resolve()
        instance = Instance(state_dir / INSTANCES, instance_prefix)
        engine = StackEngine(
            state_dir=state_dir,
            instance_id=instance.id,
            policy_allow=settings.compose_policy_allow,
            redactor=redactor,
            token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        )
        stack.push_async_callback(engine.close)
        yield OpenedEngine(settings, known, redactor, state_dir, instance, engine)


def _seed(redactor: Redactor, settings: Settings, known: Mapping[str, Environment]) -> None:
    """Let the redactor know what the settings hold: their own secrets, and the stacks' variables."""
    redactor.keep(name for one in known.values() for name in (one.name, one.project))
    redactor.add(settings.secrets)
    for one in known.values():
        redactor.add(of_variables(one.variables))
