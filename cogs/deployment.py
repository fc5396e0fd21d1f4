"""Deploy, hotfix and roll back: the commands, their plan, and the live messages that follow."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.app.application import Application
from roas.cogs.answers import answer, answer_first, ask
from roas.cogs.arguments import (
    matching,
    matching_last,
    read_reason,
    read_release,
    read_services,
    read_version,
    releases,
)
from roas.cogs.buttons import BUTTONS, cancel, filled_in, form_id, form_submitted, reason_form
from roas.cogs.command_sync import CogName
from roas.cogs.known_versions import RELEASES_SHOWN, TtlCache
from roas.cogs.ops_cog import OpsCog, actor_of, answered
from roas.cogs.permissions import Action, asker_of, refusal
from roas.cogs.planning_cog import PlanningCog
from roas.concurrency import end_tasks
from roas.errors import InvalidRequestError, RoasError
from roas.log import get_logger
from roas.models.deployment import DataChoice, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.starting_times import read_when
from roas.state.leadership import Leadership
from roas.ui.command_names import choice_of
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.translation import _

log = get_logger(__name__)

# The id of the form of `/hotfix`: its environment follows.
HOTFIX_FORM = "roas:hotfix-why:"


class DeploymentCog(PlanningCog, name=CogName.DEPLOYMENT.value):
    """Host the orchestrator in a channel."""

    def __init__(
        self, bot: commands.Bot, application: Application, leadership: Leadership, live_messages: LiveMessages
    ) -> None:
        super().__init__(bot, application, leadership, live_messages)
        self._cache: TtlCache[tuple[str, ...]] = TtlCache()
        self._resuming: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = lambda: None

    async def cog_load(self) -> None:
        """Listen for clicks on every button ever posted, and start to post."""
        self.bot.add_dynamic_items(*BUTTONS)
        self.live_messages.start()
        self._stop_listening = self.leadership.on_gained(self._start_leading)
        if self.leadership.is_leader:
            self._start_leading()
        if self.bot.application_id is not None:
            self.live_messages.online()

    async def cog_unload(self) -> None:
        """Stop posting; the next bot continues."""
        self.bot.remove_dynamic_items(*BUTTONS)
        self._stop_listening()
        if self._resuming is not None:
            await end_tasks(self._resuming)
        await self.known_versions.close()
        await self._cache.close()
        await self.live_messages.close()

    def _start_leading(self) -> None:
        """Resume, each time this bot becomes leader, the plans that a dead process left half answered."""
        if self._resuming is None or self._resuming.done():
            self._resuming = asyncio.create_task(self._resume(), name="resume plans")

    async def _resume(self) -> None:
        try:
            await self.channel_plans.resume()
        except RoasError as error:
            log.error("half answered plans could not be read", error=error.message)

    @commands.Cog.listener("on_logged_in")
    @commands.Cog.listener("on_ready")
    @commands.Cog.listener("on_resumed")
    async def go_online(self) -> None:
        """Post from now on, and try at once what waits for Discord; messages need no gateway."""
        self.live_messages.online()

    @app_commands.command(description="Deploy a version to an environment")
    @app_commands.describe(
        environment="Where to",
        version="Which version; it becomes VERSION in the compose file",
        services="Only these services, separated by spaces (all if left out)",
        dry_run="Show the plan and change nothing",
        when="When: in 2h, 22:00, next window, or a @time of Discord's (now if left out)",
    )
    @app_commands.guild_only()
    @answered
    async def deploy(
        self,
        interaction: discord.Interaction[Any],
        environment: str,
        version: str,
        services: str | None = None,
        dry_run: bool = False,
        when: str | None = None,
    ) -> None:
        """Deploy a version."""
        target = self.find_environment(interaction, environment)
        request = self.request(interaction, target, DeploymentKind.DEPLOY, dry_run=dry_run)
        request = replace(request, version=read_version(version))
        if when is not None:
            request = replace(request, starts_at=read_when(when, target.windows))
        known = await self.defined_services(target, request.version) if services else ()
        request = replace(request, services=read_services(services, known))
        await (self.show_dry_run if dry_run else self.show_plan)(interaction, request)

    @app_commands.command(description="Deploy what runs in another environment: the same images and shared files")
    @app_commands.describe(
        source="Whose release", environment="Where to", when="When: in 2h, 22:00, next window (now if left out)"
    )
    @app_commands.rename(source="from", environment="to")
    @app_commands.guild_only()
    @answered
    async def promote(
        self, interaction: discord.Interaction[Any], source: str, environment: str, when: str | None = None
    ) -> None:
        """Promote a release."""
        target = self.find_environment(interaction, environment)
        request = self.promotion(interaction, self.find_environment(interaction, source), target)
        if when is not None:
            request = replace(request, starts_at=read_when(when, target.windows))
        await self.show_plan(interaction, request)

    @app_commands.command(description="Bring a fix to production without building; it is rolled back if it fails")
    @app_commands.describe(
        version="Which version",
        reason="Why it cannot wait (asked for if left out)",
        environment="Where (prod or the only one if left out)",
    )
    @app_commands.guild_only()
    async def hotfix(
        self,
        interaction: discord.Interaction[Any],
        version: str,
        reason: str | None = None,
        environment: str | None = None,
    ) -> None:
        """Deploy a fix in a hurry, once it is known why."""
        name = environment or self.production
        if reason is not None:
            await self._start_hotfix(interaction, name, version, reason)
            return
        async with self.answering(interaction, answer_first):
            request = self._hotfix(interaction, name, version)
            wanted: discord.ui.TextInput[Any] = discord.ui.TextInput(
                label=_("Version"), custom_id="version", default=request.version
            )
            title = _("Hotfix for {environment}", environment=request.environment)
            await ask(interaction, reason_form(f"{HOTFIX_FORM}{request.environment}", title, wanted, needed=True))

    @answered
    async def _start_hotfix(
        self, interaction: discord.Interaction[Any], environment: str, version: str, reason: str
    ) -> None:
        request = self._hotfix(interaction, environment, version)
        await self.start_at_once(interaction, replace(request, reason=read_reason(reason, needed=True)))

    def _hotfix(self, interaction: discord.Interaction[Any], environment: str, version: str) -> DeploymentRequest:
        """Begin a hotfix, for those who may ask for it. Raises NotPermittedError, InvalidRequestError."""
        target = self.find_environment(interaction, environment)
        request = self.request(interaction, target, DeploymentKind.HOTFIX)
        return replace(request, version=read_version(version))

    @commands.Cog.listener()
    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Take a form of ours, whichever bot has opened it."""
        if interaction.type is not discord.InteractionType.modal_submit or not self.leadership.is_leader:
            return
        custom_id = form_id(interaction)
        if not custom_id.startswith(HOTFIX_FORM):
            await form_submitted(interaction)
            return
        values, environment = filled_in(interaction), custom_id.removeprefix(HOTFIX_FORM)
        await self._start_hotfix(interaction, environment, values.get("version", ""), values.get("reason", ""))

    @app_commands.command(description="Go back to an earlier release")
    @app_commands.describe(
        environment="Which environment",
        to="Which release, such as r12 (the one before if left out)",
        data="Restore the data, too, that was backed up before that release was left",
        reason="Why",
    )
    @app_commands.choices(data=[choice_of(DataChoice.WITH)])
    @app_commands.guild_only()
    @answered
    async def rollback(
        self,
        interaction: discord.Interaction[Any],
        environment: str,
        to: str | None = None,
        data: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Go back to a release."""
        target = self.find_environment(interaction, environment)
        request = self.request(interaction, target, DeploymentKind.ROLLBACK)
        known = await self.application.state.releases.list(target.name, limit=RELEASES_SHOWN)
        chosen = () if data is None else (DataChoice.WITH,)
        request = replace(request, target_release=read_release(to, known), data=chosen, reason=read_reason(reason))
        await self.show_plan(interaction, request)

    @app_commands.command(description="Ask a deployment that is under way to stop at its next safe point")
    @app_commands.describe(environment="Whose deployment (the only one under way if left out)", reason="Why")
    @app_commands.guild_only()
    @answered
    async def cancel(
        self, interaction: discord.Interaction[Any], environment: str | None = None, reason: str | None = None
    ) -> None:
        """Cancel a deployment."""
        self.permit(interaction, Action.STATUS)
        visible = self.visible(interaction)
        name = self.find_environment(interaction, environment).name if environment else await self._only_active(visible)
        active = await self.application.state.deployments.active(name)
        scheduled = await self.application.state.approvals.scheduled(name) if active is None else ()
        if scheduled:
            asker = asker_of(interaction)
            _plan, text = await self.channel_plans.withdraw(scheduled[0].id, asker, actor_of(asker))
            await answer(interaction, text)
            return
        if active is None:
            raise InvalidRequestError(_("No deployment of {environment} is under way.", environment=name))
        await answer(interaction, await cancel(self, interaction, active.id, read_reason(reason)))

    async def _only_active(self, visible: Collection[str]) -> str:
        """Return the one of some environments of which a deployment is under way. Raises InvalidRequestError."""
        unfinished = await self.application.state.deployments.unfinished()
        names = sorted({deployment.environment for deployment in unfinished if deployment.environment in visible})
        if len(names) == 1:
            return names[0]
        if not names:
            raise InvalidRequestError(_("No deployment is under way."))
        raise InvalidRequestError(_("Say which environment: {names}.", names=", ".join(names)))

    @cancel.autocomplete("environment")
    async def _moving(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        if not self.sees_channel(interaction):
            return []
        unfinished = await self.application.state.deployments.unfinished()
        visible = self.visible(interaction)
        return matching(
            typed, [deployment.environment for deployment in unfinished if deployment.environment in visible]
        )

    deploy.autocomplete("environment")(OpsCog.suggest_environments)
    promote.autocomplete("source")(OpsCog.suggest_environments)
    promote.autocomplete("environment")(OpsCog.suggest_environments)
    hotfix.autocomplete("environment")(OpsCog.suggest_environments)
    rollback.autocomplete("environment")(OpsCog.suggest_environments)

    @deploy.autocomplete("version")
    async def _versions(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction, Action.PLAN)
        return matching(typed, await self.known_versions.of(target)) if target else []

    @hotfix.autocomplete("version")
    async def _fixes(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction, Action.HOTFIX, default=self.production)
        return matching(typed, await self.known_versions.of(target)) if target else []

    @deploy.autocomplete("services")
    async def _services(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction, Action.PLAN)
        if target is None:
            return []
        version = str(interaction.namespace.version) if interaction.namespace.version else None
        key = (target.name, version)
        return matching_last(typed, await self._cache.ask(key, lambda: self.known_services(target, version)))

    @rollback.autocomplete("to")
    async def _releases(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        target = self._chosen(interaction, Action.ROLLBACK)
        if target is None:
            return []
        kept = self.application.state.releases
        return releases(typed, await kept.list(target.name, limit=RELEASES_SHOWN), await kept.current(target.name))

    def _chosen(self, interaction: discord.Interaction[Any], action: Action, default: str = "") -> Environment | None:
        """Return the environment that is typed in already, to those who may do there what they are about to ask for."""
        target = self.application.environments.get(str(interaction.namespace.environment or default))
        if target is None or not self.leadership.is_leader:
            return None
        return target if refusal(action, target, asker_of(interaction), self.rules) is None else None
