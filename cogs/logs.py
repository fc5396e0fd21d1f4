"""Show what a service wrote last, as a file, without secrets."""

import re
from datetime import UTC, datetime
from typing import Any

import discord
from discord import app_commands

from roas.cogs.answers import answer
from roas.cogs.arguments import as_typed, matching, nearest, read_since
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, answered
from roas.cogs.permissions import Action, asker_of, refusal
from roas.concurrency import run_concurrently
from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.ui.drawing import Attachment, Drawing, code
from roas.ui.formatting import at
from roas.ui.translation import _

USUAL_LINES = 200
MOST_LINES = 5000
SINCE_SUGGESTED = ("15m", "1h", "6h", "1d")


class LogsCog(OpsCog, name=CogName.LOGS.value):
    """Answer `/logs`, for those who may change what runs."""

    @app_commands.command(description="Show the last log lines of a service, as a file")
    @app_commands.describe(
        service="Which service",
        environment="Where (may be left out where only one environment has it)",
        since="How far back, such as 15m or 2h",
        lines="How many lines at most, for each container (200 if left out)",
    )
    @app_commands.guild_only()
    @answered
    async def logs(
        self,
        interaction: discord.Interaction[Any],
        service: str,
        environment: str | None = None,
        since: str | None = None,
        lines: app_commands.Range[int, 1, MOST_LINES] = USUAL_LINES,
    ) -> None:
        """Read the logs of a service's containers."""
        self.permit(interaction, Action.STATUS)
        visible = list(self.visible(interaction).values())
        target = (
            self.find_environment(interaction, environment)
            if environment
            else await self._owner(service.strip(), visible)
        )
        self.permit(interaction, Action.LOGS, target)
        age = read_since(since)
        containers = await self._containers(target, service.strip())
        begin = datetime.now(UTC) - age if age is not None else None
        text = await self._read(target, containers, lines, begin)
        await answer(interaction, drawing=_draw(target, service.strip(), text, begin))

    @logs.autocomplete("environment")
    async def _environments(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return matching(typed, self.visible(interaction)) if self._reads(interaction) else []

    @logs.autocomplete("service")
    async def _services(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        if not self._reads(interaction):
            return []
        visible = self.visible(interaction)
        named = visible.get(str(interaction.namespace.environment or ""))
        return matching(typed, await self._deployed([named] if named else list(visible.values())))

    @logs.autocomplete("since")
    async def _since(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return matching(typed, SINCE_SUGGESTED) if self._reads(interaction) else []

    def _reads(self, interaction: discord.Interaction[Any]) -> bool:
        """Return whether a member may read the logs of any environment, and so see the names of services."""
        asker = asker_of(interaction)
        environments = self.visible(interaction).values()
        return self.leadership.is_leader and any(
            refusal(Action.LOGS, environment, asker, self.rules) is None for environment in environments
        )

    async def _deployed(self, environments: list[Environment]) -> list[str]:
        """Return the services of what was deployed there."""
        current = [await self.application.state.releases.current(environment.name) for environment in environments]
        return [service.name for release in current if release is not None for service in release.services]

    async def _owner(self, service: str, environments: list[Environment]) -> Environment:
        """Return the one of some environments that has a service. Raises InvalidRequestError."""
        having = [environment for environment in environments if service in await self._deployed([environment])]
        if len(having) == 1:
            return having[0]
        if having:
            names = ", ".join(environment.name for environment in having)
            raise InvalidRequestError(_("Say which environment: {names}.", names=names))
        raise InvalidRequestError(
            said("The stack has no service {name}.", name=as_typed(service)),
            hint=nearest(service, dict.fromkeys(await self._deployed(environments))),
        )

    async def _containers(self, target: Environment, service: str) -> list[ContainerSnapshot]:
        containers = await self.application.stacks.of(target).containers()
        found = sorted(
            (container for container in containers if container.service == service),
            key=lambda container: container.number,
        )
        if found:
            return found
        there = sorted({container.service for container in containers})
        known = there or list(await self.known_services(target))
        raise InvalidRequestError(
            _("{environment} runs no service {name}.", environment=target.name, name=as_typed(service)),
            hint=nearest(service, known),
        )

    async def _read(
        self, target: Environment, containers: list[ContainerSnapshot], lines: int, begin: datetime | None
    ) -> str:
        parts, stack = [], self.application.stacks.of(target)
        texts = await run_concurrently(stack.read_log(item.id, lines=lines, since=begin) for item in containers)
        for container, text in zip(containers, texts, strict=True):
            state = f"{container.state.value}, {container.node}" if container.node else container.state.value
            heading = f"=== {container.name} ({state})\n" if len(containers) > 1 or container.node else ""
            parts.append(heading + text)
        return "\n".join(part for part in parts if part.strip())


def _draw(target: Environment, service: str, text: str, since: datetime | None = None) -> Drawing:
    values = {"service": code(service), "environment": target.name}
    if not text.strip():
        content = _("{service} of {environment} has written nothing.", **values)
        if since:
            content = _("{service} of {environment} has written nothing since {when}.", when=at(since), **values)
        return Drawing(key="", embeds=(), content=content)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{target.name}-{service}")[:80]
    content = _("📄 Last log lines of {service} of {environment}", **values)
    return Drawing(key="", embeds=(), content=content, attachments=(Attachment(f"{name}.log", text),))
