"""Deploy, mend and roll back: the commands, their plan, and the live messages that follow."""

import asyncio
from dataclasses import replace
from typing import Any

import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.errors import LockHeldError, RoasError
from bot.integration import Application
from bot.models.deployment import DeploymentKind, DeploymentRequest
from bot.models.environment import Environment
from bot.models.plan import Plan
from bot.ui.embeds.plan import draw_plan
from bot.ui.live_messages import LiveMessages
from bot.ui.secrets import without_secrets
from bot.ui.translation import _
from bot.ui.voice import Voice
from cogs.answers import acknowledge, answer
from cogs.arguments import read_reason, read_release, read_services, read_version
from cogs.cancel_button import CancelButton
from cogs.ops_cog import OpsCog, actor_of
from cogs.permissions import DEEDS, Deed
from cogs.suggestions import matching, matching_last, releases

log = structlog.get_logger(__name__)

HOTFIX_ENVIRONMENT = "prod"
RELEASES_SHOWN = 50
LINK_WITHIN_SECONDS = 5.0
SUGGEST_WITHIN_SECONDS = 2.0


class DeploymentCog(OpsCog, name="Deployment"):
    """Host the orchestrator in a channel."""

    def __init__(self, bot: commands.Bot, application: Application, voice: Voice, live_messages: LiveMessages) -> None:
        super().__init__(bot, application, voice)
        self.live_messages = live_messages

    async def cog_load(self) -> None:
        """Listen for clicks on every cancel button ever posted, and begin to tell."""
        self.bot.add_dynamic_items(CancelButton)
        self.live_messages.start()
        if self.bot.application_id is not None:
            self.live_messages.online()

    async def cog_unload(self) -> None:
        """Stop telling; the next bot goes on."""
        self.bot.remove_dynamic_items(CancelButton)
        await self.live_messages.close()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Try at once what waits for Discord."""
        self.live_messages.online()

    @commands.Cog.listener()
    async def on_resumed(self) -> None:
        """Try at once what waits for Discord."""
        self.live_messages.online()

    @app_commands.command(description="Deploy a version to an environment")
    @app_commands.describe(
        environment="Where to",
        version="Which version; it becomes VERSION in the compose file",
        services="Only these services, separated by spaces (all if left out)",
        dry_run="Show the plan and change nothing",
    )
    @app_commands.guild_only()
    async def deploy(
        self,
        interaction: discord.Interaction[Any],
        environment: str,
        version: str,
        services: str | None = None,
        dry_run: bool = False,
    ) -> None:
        """Deploy a version."""
        if not await acknowledge(interaction):
            return
        async with self.answering(interaction):
            target = self.environment(environment)
            request = self._request(interaction, target, DeploymentKind.DEPLOY, dry_run=dry_run)
            request = replace(request, version=read_version(version))
            known = await self._defined_services(target, request.version) if services else ()
            request = replace(request, services=read_services(services, known))
            await self._carry_out(interaction, request, dry_run=dry_run)

    @app_commands.command(description="Bring a fix to production without building; it is rolled back if it fails")
    @app_commands.describe(
        version="Which version", reason="Why it cannot wait", environment="Where to (prod if left out)"
    )
    @app_commands.guild_only()
    async def hotfix(
        self,
        interaction: discord.Interaction[Any],
        version: str,
        reason: str,
        environment: str = HOTFIX_ENVIRONMENT,
    ) -> None:
        """Deploy a fix in a hurry."""
        if not await acknowledge(interaction):
            return
        async with self.answering(interaction):
            target = self.environment(environment)
            request = self._request(interaction, target, DeploymentKind.HOTFIX)
            request = replace(request, version=read_version(version), reason=read_reason(reason, needed=True))
            await self._carry_out(interaction, request)

    @app_commands.command(description="Go back to an earlier release, the whole of it")
    @app_commands.describe(
        environment="Which environment", to="Which release, such as r12 (the one before if left out)", reason="Why"
    )
    @app_commands.guild_only()
    async def rollback(
        self,
        interaction: discord.Interaction[Any],
        environment: str,
        to: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Go back to a release."""
        if not await acknowledge(interaction):
            return
        async with self.answering(interaction):
            target = self.environment(environment)
            request = self._request(interaction, target, DeploymentKind.ROLLBACK)
            known = await self.application.state.releases.list(target.name, limit=RELEASES_SHOWN)
            request = replace(request, target_release=read_release(to, known), reason=read_reason(reason))
            await self._carry_out(interaction, request)

    @deploy.autocomplete("environment")
    @hotfix.autocomplete("environment")
    @rollback.autocomplete("environment")
    async def _environments(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return matching(typed, self.application.environments) if self.sees_channel(interaction) else []

    @deploy.autocomplete("version")
    @hotfix.autocomplete("version")
    async def _versions(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction, default=HOTFIX_ENVIRONMENT)
        return matching(typed, await self._known_versions(target)) if target else []

    @deploy.autocomplete("services")
    async def _services(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction)
        if target is None:
            return []
        version = interaction.namespace.version
        return matching_last(typed, await self._known_services(target, str(version) if version else None))

    @rollback.autocomplete("to")
    async def _releases(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction)
        if target is None:
            return []
        kept = self.application.state.releases
        return releases(typed, await kept.list(target.name, limit=RELEASES_SHOWN), await kept.current(target.name))

    def _request(
        self,
        interaction: discord.Interaction[Any],
        target: Environment,
        kind: DeploymentKind,
        *,
        dry_run: bool = False,
    ) -> DeploymentRequest:
        """Begin a request, for those who may make it. Raises NotPermittedError."""
        asker = self.permit(interaction, Deed.PLAN if dry_run else DEEDS[kind], target)
        return DeploymentRequest(
            environment=target.name,
            kind=kind,
            requested_by=actor_of(asker),
            interaction_id=str(interaction.id),
        )

    async def _carry_out(
        self, interaction: discord.Interaction[Any], request: DeploymentRequest, *, dry_run: bool = False
    ) -> None:
        """Show the plan, start exactly that, and point to the channel; the interaction is not touched afterwards."""
        if not dry_run and (lock := await self.application.state.locks.get(request.environment)) is not None:
            raise LockHeldError(lock)
        plan = without_secrets(await self.application.orchestrator.plan(request), self.application.redactor.redact)
        if dry_run:
            await answer(interaction, embeds=draw_plan(plan, dry_run=True))
            return
        started = await self.application.orchestrator.start(replace(request, plan_digest=plan.digest))
        log.info("a deployment was asked for", deployment_id=started.id, interaction_id=interaction.id)
        link = await self.live_messages.link(started.id, within_seconds=LINK_WITHIN_SECONDS)
        await self._point_to(interaction, plan, started.id, link)

    async def _point_to(self, interaction: discord.Interaction[Any], plan: Plan, deployment_id: str, link: str) -> None:
        words = _("🚀 Started `{id}`. Follow it here: {link}", id=deployment_id, link=link)
        await answer(interaction, words, draw_plan(plan))

    def _chosen(self, interaction: discord.Interaction[Any], default: str = "") -> Environment | None:
        """Return the environment that is typed in already, where the person may see anything."""
        if not self.sees_channel(interaction):
            return None
        name = interaction.namespace.environment or default
        return self.application.environments.get(str(name))

    async def _known_versions(self, target: Environment) -> list[str]:
        """Return the versions that were ever deployed there, the newest first, then those of other environments."""
        kept = self.application.state.releases
        found = [release.version for release in await kept.list(target.name, limit=RELEASES_SHOWN)]
        for name in self.application.environments:
            if name != target.name:
                found += [release.version for release in await kept.list(name, limit=RELEASES_SHOWN)]
        return found

    async def _known_services(self, target: Environment, version: str | None) -> tuple[str, ...]:
        """Return the services to suggest: of the compose file, or of the current release where it cannot be read."""
        if defined := await self._defined_services(target, version):
            return defined
        current = await self.application.state.releases.current(target.name)
        return tuple(service.name for service in current.services) if current else ()

    async def _defined_services(self, target: Environment, version: str | None) -> tuple[str, ...]:
        """Return the services of the compose file; none where it cannot be read, which planning then explains."""
        try:
            async with asyncio.timeout(SUGGEST_WITHIN_SECONDS):
                stack = await self.application.engine.resolve(target, version, write_contents=False)
        except (RoasError, TimeoutError) as error:
            log.info("the compose file's services are not known", environment=target.name, reason=str(error))
            return ()
        return tuple(stack.definitions)
