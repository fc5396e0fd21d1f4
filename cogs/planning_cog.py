"""Plan for commands and buttons: the request, its plan, and the start of what cannot wait."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import discord
from discord.ext import commands

from roas.app.application import Application
from roas.cogs.answers import answer
from roas.cogs.arguments import nearest
from roas.cogs.channel_plans import LINK_WITHIN_SECONDS, ChannelPlans
from roas.cogs.known_versions import KnownVersions
from roas.cogs.ops_cog import OpsCog, actor_of
from roas.cogs.permissions import ACTIONS, Action
from roas.errors import ImageNotFoundError
from roas.log import get_logger
from roas.messages.message import joined
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.state.leadership import Leadership
from roas.ui.drawing import code
from roas.ui.embeds.plan import draw_confirmation, draw_plan_message
from roas.ui.notifications.deployment_notifier import last_seconds
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.redacted import without_secrets
from roas.ui.translation import _

log = get_logger(__name__)

Planned = TypeVar("Planned")


class PlanningCog(OpsCog):
    """Provide what the commands and the buttons of deployments share."""

    def __init__(
        self, bot: commands.Bot, application: Application, leadership: Leadership, live_messages: LiveMessages
    ) -> None:
        super().__init__(bot, application, leadership)
        self.live_messages = live_messages
        self.channel_plans = ChannelPlans(application, self.rules, live_messages)
        self.known_versions = KnownVersions(application)

    def request(
        self,
        interaction: discord.Interaction[Any],
        target: Environment,
        kind: DeploymentKind,
        *,
        dry_run: bool = False,
    ) -> DeploymentRequest:
        """Begin a request, for those who may make it. Raises NotPermittedError."""
        asker = self.permit(interaction, Action.PLAN if dry_run else ACTIONS[kind], target)
        return DeploymentRequest(
            environment=target.name,
            kind=kind,
            requested_by=actor_of(asker),
            interaction_id=str(interaction.id),
        )

    def promotion(
        self, interaction: discord.Interaction[Any], source: Environment, target: Environment
    ) -> DeploymentRequest:
        """Begin a promotion of what runs in another environment. Raises NotPermittedError."""
        self.permit(interaction, Action.STATUS, source)
        return replace(self.request(interaction, target, DeploymentKind.DEPLOY), promoted_from=source.name)

    async def show_plan(self, interaction: discord.Interaction[Any], request: DeploymentRequest) -> None:
        """Answer with the plan and its buttons; nothing is started before it is confirmed."""
        plan_record = await self._planned(request, self.channel_plans.create_plan)
        took = await last_seconds(self.application.state, request)
        shown = without_secrets(plan_record, self.application.redactor.redact)
        await answer(interaction, drawing=draw_confirmation(shown, last_seconds=took))

    async def show_dry_run(self, interaction: discord.Interaction[Any], request: DeploymentRequest) -> None:
        """Answer with the plan alone; nothing of it is kept."""
        plan = await self._planned(request, partial(self.application.orchestrator.plan, keep=False))
        took = await last_seconds(self.application.state, request)
        shown = without_secrets(plan, self.application.redactor.redact)
        repository = self.application.environments[request.environment].repository
        text = ""
        if repository is not None:  # also a plan that is not kept is made of the files in the folder
            text = _("The stack's folder has the files of {ref} now: each plan brings them.", ref=code(repository.ref))
        await answer(interaction, drawing=draw_plan_message(shown, text, dry_run=True, last_seconds=took))

    async def start_at_once(self, interaction: discord.Interaction[Any], request: DeploymentRequest) -> None:
        """Start what cannot wait, and point to the channel; the interaction is not touched afterwards."""
        await self.channel_plans.require_idle(request)
        plan = await self._planned(request, self.application.orchestrator.plan)
        started = await self.application.orchestrator.start(plan.bind(request))
        log.info("started at once", deployment_id=started.id, interaction_id=interaction.id)
        link = await self.live_messages.link(started.id, request.environment, within_seconds=LINK_WITHIN_SECONDS)
        text = _("🚀 Started `{id}`. Follow it here: {link}", id=started.id, link=link)
        shown = without_secrets(plan, self.application.redactor.redact)
        await answer(interaction, drawing=draw_plan_message(shown, text))

    async def _planned(
        self, request: DeploymentRequest, plan: Callable[[DeploymentRequest], Awaitable[Planned]]
    ) -> Planned:
        """Plan; a version of which there is no image is refused with the nearest that there are."""
        try:
            return await plan(request)
        except ImageNotFoundError as error:
            target = self.environment(request.environment)
            known = await self.known_versions.of(target)
            hint = joined(" ", filter(None, (error.hint, nearest(request.version or "", known))))
            raise ImageNotFoundError(error.message, hint=hint, service=error.service, report=error.report) from error
