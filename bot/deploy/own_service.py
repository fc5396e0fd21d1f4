"""Find the container that the bot runs in, and refuse what would leave no bot; clear what killed processes left."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from roas.deploy.components import Components
from roas.deploy.peers import Authorship, left_alone_text, spared_bots
from roas.errors import BotRemovalError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, OwnContainer
from roas.models.health import AT_WORK, ContainerSnapshot
from roas.models.stack import ServiceDefinition
from roas.stack.containers.repair import has_wrong_name
from roas.stack.interface import SweptContainers
from roas.stack.machine.bot_places import has_variables_of_bot, keeps_state_in
from roas.stack.stack import Stack

PROJECT_NAME = "COMPOSE_PROJECT_NAME"
# What is known of a container that is gone by now.
NOWHERE = BotPlace("")


@dataclass(frozen=True, slots=True)
class OwnService:
    """Find the bot's own container among those of one environment, and clear what killed processes left there."""

    components: Components
    environment: Environment

    @property
    def stack(self) -> Stack:
        """Return the stack of the environment."""
        return self.components.stacks.of(self.environment)

    async def bot(self) -> OwnContainer | None:
        """Return the container that the bot runs in: this process's own, or the leader's."""
        own = await self.components.own_container(self.environment)
        if own is not None or not self.environment.is_home:
            return own
        ownership = self.components.state.ownership
        lease = await ownership.lease()
        leader = await ownership.heartbeat(instance_id=lease.instance_id) if lease is not None else None
        working = [container for container in await self.stack.listed() if container.state in AT_WORK]
        # A killed one is started again, and one that was just created does not lead yet: both are bots.
        for container in sorted(working, key=lambda candidate: leader is None or candidate.id != leader.container_id):
            if await ownership.heartbeat(container_id=container.id) is not None:
                return OwnContainer(container.id, container.name, self.environment.project, container.service)
        return None

    async def known_bot(self) -> OwnContainer | None:
        """Return the container of the bot, or, if none is running, one that a start would bring back.

        The journal alone does not say which container that is: one that was lost knows no bot, nor does one that the
        bot was stopped before, and a command line may have been given another. So what Docker shows of it counts, too.
        """
        bot = await self.bot()
        if bot is not None or not self.environment.is_home:
            return bot
        folder, ownership = str(self.components.state.folder), self.components.state.ownership
        there = await self.stack.containers()
        places = await self.stack.probe().bot_places([container.id for container in there])
        best: tuple[bool, ...] = ()
        for container in there:
            place = places.get(container.id, NOWHERE)
            proof = (
                await ownership.has_beaten(container.id),
                keeps_state_in(place, folder),
                has_variables_of_bot(place.variables),
                container.state in AT_WORK,
            )
            if any(proof[:-1]) and proof > best:
                best = proof
                bot = OwnContainer(container.id, container.name, self.environment.project, container.service)
        return bot

    async def sweep(
        self, service: str | None = None, *, on_left: Callable[[str], None] = lambda text: None
    ) -> tuple[str, ...]:
        """Fix what a killed Compose of ours left behind, of one service or all, but for bots that are no peers.

        What somebody else is making stays as it is (`Authorship`), and `on_left` is told. Returns a summary of what
        was done. Raises RoasError.
        """
        spared, others = await self._spared()
        for container in others:
            on_left(left_alone_text(container))
        return await self.stack.sweep(service, spared=spared)

    async def expected_containers(self) -> SweptContainers:
        """Return the containers as `sweep` would leave them; changes nothing."""
        spared, _ = await self._spared()
        return await self.stack.expected_repairs(spared=spared)

    async def _spared(self) -> tuple[frozenset[str], tuple[ContainerSnapshot, ...]]:
        """Return, by id, what is not to be swept, and those of them that somebody else is making."""
        spared = await spared_bots(self.components.peers, self.stack, await self.bot())
        authorship = Authorship(self.components.stacks, self.components.state)
        unproven = frozenset(
            container.id for container in await self.stack.listed() if container.never_ran or has_wrong_name(container)
        )
        there = await self.stack.containers_by_id(unproven) if unproven else ()
        others = await authorship.of_others(self.environment, there)
        return spared | {container.id for container in others}, others


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
    message = said(
        "{release} has no container of {service}, which is this bot itself: nobody would be left to deploy.",
        release=release,
        service=bot.service,
    )
    raise BotRemovalError(
        message,
        hint=said(
            "Keep {service} in the compose file under that name, with one replica, and not "
            "in an inactive profile. To run the stack without its bot, or to rename the "
            "service, first remove the bot manually (`docker rm -f {bot}`), then deploy with `roas deploy`.",
            service=bot.service,
            bot=bot.name,
        ),
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
        said(
            "The new {service} would take {environment} for project {name}, but it runs in "
            "project {project}: it would not find its own container.",
            service=bot.service,
            environment=environment.name,
            name=name,
            project=environment.project,
        ),
        hint=said(
            "Set {project_name} back to {project}. To rename the project, take the stack "
            "down manually (`docker compose -p {project} down`) and bring it up under its "
            "new name.",
            project_name=PROJECT_NAME,
            project=environment.project,
        ),
        service=bot.service,
    )
