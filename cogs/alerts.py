"""Let people acknowledge and silence alerts, read the logs of their services, restart them, and roll back."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

import discord
from discord.ext import commands

from roas.cogs.answers import ANSWERED_ELSEWHERE, acknowledge, answer
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, actor_of, leading_cog
from roas.cogs.permissions import Action, Asker, asker_of, permit, place_refusal, refusal
from roas.cogs.planning_cog import PlanningCog
from roas.errors import SEE_STATUS, InvalidRequestError, RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import Alert
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation
from roas.models.health import ContainerSnapshot
from roas.ui.drawing import Attachment, Drawing, code
from roas.ui.embeds.alert import PREFIX
from roas.ui.translation import _, translate

log = get_logger(__name__)
SILENCE = timedelta(hours=1)
LOG_LINES = 300
LOGS_OF_CONTAINERS = 5


class AlertButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=re.escape(PREFIX) + r"(?P<action>ack|silence|logs|rollback):(?P<subject>(?:ALERT|STORM)-[0-9A-Z]{26})",
):
    """Do something about an alert; the button knows its id only, everything else is read again on the click."""

    def __init__(self, action: str, subject: str) -> None:
        super().__init__(discord.ui.Button(label=action, custom_id=f"{PREFIX}{action}:{subject}"))
        self.action = action
        self.subject = subject

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button from its custom id."""
        return cls(match["action"], match["subject"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass the click to the cog."""
        cog: AlertsCog | None = leading_cog(interaction.client, CogName.ALERTS)
        if cog is not None and await acknowledge(interaction):
            async with cog.answering(interaction):
                await cog.clicked(interaction, self.action, self.subject)


class AlertRestartButton(
    AlertButton, template=re.escape(PREFIX) + r"(?P<action>restart):(?P<subject>(?:ALERT|STORM)-[0-9A-Z]{26})"
):
    """Restart the service of an alert; the release before has no such button, and leaves it alone."""


class AlertDriftButton(
    AlertButton, template=re.escape(PREFIX) + r"(?P<action>restore|keep):(?P<subject>(?:ALERT|STORM)-[0-9A-Z]{26})"
):
    """Bring back the release that somebody changed by hand, or make what runs the release."""


class AlertsCog(OpsCog, name=CogName.ALERTS.value):
    """Handle what people do about alerts."""

    async def cog_load(self) -> None:
        """Listen for clicks on every button under an alert ever posted."""
        self.bot.add_dynamic_items(AlertButton, AlertRestartButton, AlertDriftButton)

    async def cog_unload(self) -> None:
        """Stop listening."""
        self.bot.remove_dynamic_items(AlertButton, AlertRestartButton, AlertDriftButton)

    @commands.Cog.listener(f"on_{ANSWERED_ELSEWHERE}")
    async def answered_elsewhere(self, interaction: discord.Interaction[Any]) -> None:
        """Note that another process answered what this bot was about to."""
        self.application.duplicate_token.met(interaction.id, self.leadership.leading_seconds)

    async def clicked(self, interaction: discord.Interaction[Any], action: str, subject: str) -> None:
        """Do what a button says, for those who may. Raises NotPermittedError, InvalidRequestError."""
        asker = asker_of(interaction)
        permit(alert_refusal(asker, self))
        alerts = await self._alerts(subject)
        for alert in alerts:
            permit(place_refusal(asker, self.rules, alert.environment))
        match action:
            case "ack":
                await answer(interaction, await self._acknowledge(alerts, asker))
            case "silence":
                await answer(interaction, await self._silence(alerts, asker))
            case "logs":
                await self._logs(interaction, alerts[0])
            case "restart":
                await self._restart(interaction, alerts[0])
            case "restore":
                await self._restore(interaction, alerts[0])
            case "keep":
                await self._keep(interaction, alerts[0])
            case "rollback":
                await self._roll_back(interaction, alerts[0])

    async def _alerts(self, subject: str) -> Sequence[Alert]:
        """Return the alert of a message, or all that it shows. Raises InvalidRequestError."""
        kept = self.application.state.alerts
        alert = await kept.get(subject)
        alerts = [alert] if alert is not None else await kept.group(subject)
        if not alerts:
            raise InvalidRequestError(said("There is no alert {alert_id}.", alert_id=subject), hint=SEE_STATUS)
        return alerts

    async def _acknowledge(self, alerts: Sequence[Alert], asker: Asker) -> str:
        still_open = [alert for alert in alerts if alert.is_open]
        if not still_open:
            return _already_over()
        for alert in still_open:
            await self.application.alert_service.acknowledge(alert.id, actor_of(asker))
        return _("👀 {count} acknowledged by you.", count=len(still_open))

    async def _silence(self, alerts: Sequence[Alert], asker: Asker) -> str:
        still_open = [alert for alert in alerts if alert.is_open]
        if not still_open:
            return _already_over()
        for alert in still_open:
            await self.application.alert_service.silence(alert.id, actor_of(asker), SILENCE)
        return _("🔕 {count} silenced for an hour.", count=len(still_open))

    async def _logs(self, interaction: discord.Interaction[Any], alert: Alert) -> None:
        """Answer with the last lines of a service's containers as a file, without secrets."""
        environment = self.environment(alert.environment)
        containers = await self.application.stacks.of(environment).containers()
        own = [container for container in containers if container.service == alert.service][:LOGS_OF_CONTAINERS]
        if not own:
            raise InvalidRequestError(_("There is no container of {service}.", service=alert.service))
        text = self.application.redactor.redact("\n\n".join([await self._log(alert, container) for container in own]))
        file = Attachment(f"{alert.id}-{alert.service}.txt", text)
        content = _("📄 The last lines of {service}.", service=code(alert.service))
        await answer(interaction, content, drawing=Drawing(alert.id, (), attachments=(file,)))

    async def _log(self, alert: Alert, container: ContainerSnapshot) -> str:
        environment = self.environment(alert.environment)
        try:
            content = await self.application.stacks.of(environment).failure_output(container.id, lines=LOG_LINES)
        except RoasError as error:
            content = f"({translate(error.message)})"
        return f"== {container.name}\n{content}"

    async def _restart(self, interaction: discord.Interaction[Any], alert: Alert) -> None:
        """Restart the service that broke, as `/restart` does. Raises NotPermittedError."""
        cog, request = self._asked(interaction, alert, DeploymentKind.DEPLOY)
        await cog.start_at_once(interaction, replace(request, operation=Operation.RESTART))

    async def _restore(self, interaction: discord.Interaction[Any], alert: Alert) -> None:
        """Show the plan of what brings the release back that the environment is on. Raises NotPermittedError."""
        cog, request = self._asked(interaction, alert, DeploymentKind.ROLLBACK)
        current = await self.application.state.releases.current(alert.environment)
        number = None if current is None else current.number
        await cog.show_plan(interaction, replace(request, target_release=number))

    async def _keep(self, interaction: discord.Interaction[Any], alert: Alert) -> None:
        """Show the plan of a release of what runs. Raises NotPermittedError."""
        cog, request = self._asked(interaction, alert, DeploymentKind.DEPLOY)
        await cog.show_plan(interaction, replace(request, operation=Operation.KEEP))

    async def _roll_back(self, interaction: discord.Interaction[Any], alert: Alert) -> None:
        """Show the plan of going back, of the service that broke alone. Raises NotPermittedError."""
        cog, request = self._asked(interaction, alert, DeploymentKind.ROLLBACK)
        await cog.show_plan(interaction, request)

    def _asked(
        self, interaction: discord.Interaction[Any], alert: Alert, kind: DeploymentKind
    ) -> tuple[PlanningCog, DeploymentRequest]:
        cog: PlanningCog | None = leading_cog(self.bot, CogName.DEPLOYMENT)
        if cog is None:
            raise InvalidRequestError(_("This bot does not deploy."))
        request = cog.request(interaction, self.environment(alert.environment), kind)
        services = (alert.service,) if alert.service else ()
        return cog, replace(request, services=services, reason=alert.id, correlation_id=alert.correlation_id)


def alert_refusal(asker: Asker, cog: OpsCog) -> str | None:
    """Return why a member may not handle alerts, or None where they may: any role that may change something."""
    if out_of_place := refusal(Action.STATUS, None, asker, cog.rules):
        return out_of_place
    if asker.role_ids & cog.rules.all_roles:
        return None
    return _("Handling alerts requires the deployer or the approver role.")


def _already_over() -> str:
    return _("✅ It is resolved already; there is nothing to do.")
