"""Restart, stop, start and scale services of what runs."""

from dataclasses import replace
from typing import Any

import discord
from discord import app_commands

from roas.cogs.arguments import matching_last, read_reason, read_services
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, answered
from roas.cogs.permissions import Action, asker_of, refusal
from roas.cogs.planning_cog import PlanningCog
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation
from roas.stack.model.scales import MOST_REPLICAS

_of_services = app_commands.describe(
    services="Which service, or several, separated by spaces",
    environment="Where (prod or the only one if left out)",
    reason="Why",
)


class ServicesCog(PlanningCog, name=CogName.SERVICES.value):
    """Do to single services what people do every day."""

    @app_commands.command(description="Restart services; a new container of the bot itself takes over from this one")
    @_of_services
    @app_commands.guild_only()
    @answered
    async def restart(
        self,
        interaction: discord.Interaction[Any],
        services: str,
        environment: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Restart services at once."""
        request = await self._operation(interaction, Operation.RESTART, services, environment, reason)
        await self.start_at_once(interaction, request)

    @app_commands.command(description="Stop services until they are started or deployed again")
    @_of_services
    @app_commands.guild_only()
    @answered
    async def stop(
        self,
        interaction: discord.Interaction[Any],
        services: str,
        environment: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Show what would stop, and stop it once that is confirmed."""
        await self.show_plan(
            interaction, await self._operation(interaction, Operation.STOP, services, environment, reason)
        )

    @app_commands.command(description="Start services that do not run")
    @_of_services
    @app_commands.guild_only()
    @answered
    async def start(
        self,
        interaction: discord.Interaction[Any],
        services: str,
        environment: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Start services at once."""
        request = await self._operation(interaction, Operation.START, services, environment, reason)
        await self.start_at_once(interaction, request)

    @app_commands.command(description="Change how many replicas of a service there are")
    @app_commands.describe(
        service="Which service",
        replicas="How many; with 0 it is stopped",
        environment="Where (prod or the only one if left out)",
        reason="Why",
    )
    @app_commands.guild_only()
    @answered
    async def scale(
        self,
        interaction: discord.Interaction[Any],
        service: str,
        replicas: app_commands.Range[int, 0, MOST_REPLICAS],
        environment: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Scale a service at once; what leaves none of it is shown, and done once that is confirmed."""
        request = await self._operation(interaction, Operation.SCALE, service, environment, reason)
        request = replace(request, replicas=replicas)
        begin = self.show_plan if replicas == 0 else self.start_at_once
        await begin(interaction, request)

    async def _operation(
        self,
        interaction: discord.Interaction[Any],
        operation: Operation,
        services: str,
        environment: str | None,
        reason: str | None,
    ) -> DeploymentRequest:
        target = self.find_environment(interaction, environment or self.production)
        request = self.request(interaction, target, DeploymentKind.DEPLOY)
        current = await self.application.state.releases.current(target.name)
        known = () if current is None else tuple(service.name for service in current.services)
        return replace(
            request, operation=operation, services=read_services(services, known), reason=read_reason(reason)
        )

    restart.autocomplete("environment")(OpsCog.suggest_environments)
    stop.autocomplete("environment")(OpsCog.suggest_environments)
    start.autocomplete("environment")(OpsCog.suggest_environments)
    scale.autocomplete("environment")(OpsCog.suggest_environments)

    @restart.autocomplete("services")
    @stop.autocomplete("services")
    @start.autocomplete("services")
    @scale.autocomplete("service")
    async def _deployed(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self.application.environments.get(str(interaction.namespace.environment or self.production))
        if target is None or not self.leadership.is_leader:
            return []
        if refusal(Action.DEPLOY, target, asker_of(interaction), self.rules) is not None:
            return []
        current = await self.application.state.releases.current(target.name)
        return matching_last(typed, () if current is None else (service.name for service in current.services))
