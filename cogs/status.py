"""Show how the environments are."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from roas.api.application import read_status
from roas.app.application import Application
from roas.cogs.answers import answer
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, answered
from roas.cogs.permissions import Action, asker_of, place_refusal
from roas.concurrency import SingleFlight, run_concurrently
from roas.configuration.environments import plain_names
from roas.log import get_logger
from roas.models.environment import Environment
from roas.state.leadership import Leadership
from roas.ui.chart import Painter
from roas.ui.drawing import Drawing, Picture
from roas.ui.embeds.alert import draw_open_alerts
from roas.ui.embeds.status import draw_integration, draw_status
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.redacted import without_secrets
from roas.ui.translation import language

log = get_logger(__name__)


class StatusCog(OpsCog, name=CogName.STATUS.value):
    """Answer `/status`; everybody who sees the channel may ask."""

    def __init__(
        self, bot: commands.Bot, application: Application, leadership: Leadership, live_messages: LiveMessages
    ) -> None:
        super().__init__(bot, application, leadership)
        self.live_messages = live_messages
        self._painter = Painter()

        # Simultaneous requests share one look: a bot with too many requests would answer none.
        self._drawings: SingleFlight[Drawing] = SingleFlight()

    async def cog_unload(self) -> None:
        """End what is under way."""
        await self._drawings.close()
        self._painter.close()

    @app_commands.command(description="Show the status of one environment or of all")
    @app_commands.describe(environment="Which one (all if left out)")
    @app_commands.guild_only()
    @answered
    async def status(self, interaction: discord.Interaction[Any], environment: str | None = None) -> None:
        """Show the state of services, release, deployment and lock."""
        self.permit(interaction, Action.STATUS)
        visible = self.visible(interaction)
        wanted = [visible[name] for name in plain_names(visible)]
        if environment:
            wanted = list(self.find_environment(interaction, environment).with_hosts)
        # What concerns no environment is shown where all can be seen.
        everything = place_refusal(asker_of(interaction), self.rules, "") is None
        names = {host.name for target in wanted for host in target.with_hosts} | ({""} if everything else set())
        alerts_of = None if everything and not environment else frozenset(names)

        async def draw() -> Drawing:
            return await self._draw(alerts_of, wanted)

        key = (tuple(environment.name for environment in wanted), alerts_of, language())
        await answer(interaction, drawing=await self._drawings.ask(key, draw))

    status.autocomplete("environment")(OpsCog.suggest_environments)

    async def _draw(self, alerts_of: frozenset[str] | None, wanted: Sequence[Environment]) -> Drawing:
        """Look at the environments and draw all that there is to say of them, without secrets."""
        state, collector = self.application.state, self.application.collector
        statuses = await run_concurrently(read_status(target, state, collector) for target in wanted)
        picture = await self._chart(wanted)  # after the look, which is the chart's last point
        shown = [without_secrets(status, self.application.redactor.redact) for status in statuses]
        is_engine_unavailable = any(status.fault for status in statuses)
        beside = [*await self._open_alerts(alerts_of), self._integration(is_engine_unavailable=is_engine_unavailable)]
        trouble = {status.environment: self.live_messages.trouble(status.environment) for status in statuses}
        return replace(draw_status(shown, beside, trouble), picture=picture)

    async def _open_alerts(self, alerts_of: frozenset[str] | None) -> list[discord.Embed]:
        """Draw the alerts that are open: of some environments (an empty name is none in particular), or all."""
        alerts = await self.application.state.alerts.open()
        wanted = [alert for alert in alerts if alerts_of is None or alert.environment in alerts_of]
        embed = draw_open_alerts(wanted, partial(without_secrets, redact=self.application.redactor.redact))
        return [] if embed is None else [embed]

    def _integration(self, *, is_engine_unavailable: bool) -> discord.Embed:
        """Draw how well the bot's own parts work together."""
        monitor = self.application.integration_monitor
        return draw_integration(monitor.figures(), monitor.firing, is_engine_unavailable=is_engine_unavailable)

    async def _chart(self, targets: Sequence[Environment]) -> Picture | None:
        """Draw the last hour of what is watched; a status without a picture is better than none."""
        series = [
            item for target in targets if not target.hosts for item in self.application.collector.last_hour(target)
        ]
        return await self._painter.last_hour(series)
