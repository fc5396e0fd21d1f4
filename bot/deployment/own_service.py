"""Refuse what would leave no bot: a release in which the bot's own service has no container any more."""

from collections.abc import Mapping
from typing import Any

from roas.deployment.context import Components, find_own_bot
from roas.errors import BotRemovalError
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.stack import ServiceDefinition

PROJECT_NAME = "COMPOSE_PROJECT_NAME"


async def find_running_bot(components: Components, environment: Environment) -> OwnContainer | None:
    """Return the container of an environment's bot, or, if none is running, one that a start would bring back."""
    bot = await find_own_bot(components, environment)
    if bot is not None or not environment.is_home:
        return bot
    for one in await components.engine.containers(environment):
        if await components.state.ownership.has_beaten(one.id):
            return OwnContainer(one.id, one.name, environment.project, one.service)
    return None


def replicas_by_service(definitions: Mapping[str, ServiceDefinition]) -> dict[str, int]:
    """Return how many containers each service of a model has."""
    return {name: definition.replicas for name, definition in definitions.items()}


def keeps_bot(bot: OwnContainer, replicas: Mapping[str, int]) -> bool:
    """Return whether the bot's own service has a container in a release."""
    return replicas.get(bot.service, 0) > 0


def refuse_without_bot(bot: OwnContainer | None, replicas: Mapping[str, int], release: str) -> None:
    """Raise BotRemovalError where the bot's own service has no container in a release; `release` names that."""
    if bot is None or keeps_bot(bot, replicas):
        return
    message = f"{release} has no service {bot.service}, which is this bot itself: nobody would be left to deploy."
    if bot.service in replicas:
        message = (
            f"{release} has no replica of {bot.service}, which is this bot itself: nobody would be left to deploy."
        )
    raise BotRemovalError(
        message,
        hint=f"Keep {bot.service} in the compose file under that name, with one replica, and not in an inactive "
        "profile. To run the stack without its bot, or to rename the service, first remove the bot manually (`docker "
        f"rm -f {bot.name}`), then deploy with `roas deploy` or `docker compose up -d`.",
        service=bot.service,
    )


def refuse_moved_bot(bot: OwnContainer | None, model: Mapping[str, Any], environment: Environment) -> None:
    """Raise BotRemovalError if a new bot would look for itself in another project than the one it runs in."""
    fields = {} if bot is None else (model.get("services") or {}).get(bot.service) or {}
    variables = fields.get("environment") or {}
    name = variables.get(PROJECT_NAME) if isinstance(variables, Mapping) else None
    if bot is None or not environment.is_home or name in {None, "", environment.project}:
        return
    if variables.get(f"ENVIRONMENTS__{environment.name.upper()}__PROJECT_NAME") == environment.project:
        return
    raise BotRemovalError(
        f"The new {bot.service} would take {environment.name} for project {name}, but it runs in project "
        f"{environment.project}: it would not find its own container.",
        hint=f"Set {PROJECT_NAME} back to {environment.project}. To rename the project, take the stack down "
        f"manually (`docker compose -p {environment.project} down`) and bring it up under its new name.",
        service=bot.service,
    )
