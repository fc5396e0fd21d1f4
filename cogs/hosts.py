"""Say what a button needs of the cog behind it: a button is found by its id alone, and imports no cog."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import discord

from roas.app.application import Application
from roas.cogs.answers import Reply, answer
from roas.cogs.names import CogName
from roas.cogs.permissions import Rules
from roas.cogs.plan_approvals import PlanApprovals
from roas.leadership.leadership import Leadership
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.ui.notifications.live_messages import LiveMessages


class ButtonHost(Protocol):
    """Answer for what goes wrong when a button is clicked, while this bot leads."""

    @property
    def leadership(self) -> Leadership:
        """Return whether this bot leads."""
        ...

    def answering(
        self, interaction: discord.Interaction[Any], reply: Reply = answer
    ) -> AbstractAsyncContextManager[None]:
        """Answer for what goes wrong within."""
        ...


class DeploymentHost(ButtonHost, Protocol):
    """Plan, start and stop deployments for the buttons of a plan, of a live message and of an outcome."""

    @property
    def application(self) -> Application:
        """Return the parts of the bot."""
        ...

    @property
    def rules(self) -> Rules:
        """Return who may do what."""
        ...

    @property
    def live_messages(self) -> LiveMessages:
        """Return the messages that follow deployments."""
        ...

    @property
    def plan_approvals(self) -> PlanApprovals:
        """Return the plans that wait for a yes."""
        ...

    def environment(self, name: str) -> Environment:
        """Return an environment by name. Raises InvalidRequestError."""
        ...

    def request(
        self, interaction: discord.Interaction[Any], target: Environment, kind: DeploymentKind
    ) -> DeploymentRequest:
        """Begin a request, for those who may make it. Raises NotPermittedError."""
        ...

    async def show_plan(self, interaction: discord.Interaction[Any], request: DeploymentRequest) -> None:
        """Answer with the plan and its buttons; nothing is started before it is confirmed."""
        ...


class AlertHost(ButtonHost, Protocol):
    """Do what people decide about alerts."""

    async def clicked(self, interaction: discord.Interaction[Any], action: str, subject: str) -> None:
        """Do what a button says, for those who may. Raises NotPermittedError, InvalidRequestError."""
        ...


def deployment_host(client: Any) -> DeploymentHost | None:
    """Return what deploys, or None where this bot does not, or does not lead."""
    host: DeploymentHost | None = client.get_cog(CogName.DEPLOYMENT)
    return host if host is not None and host.leadership.is_leader else None


def alert_host(client: Any) -> AlertHost | None:
    """Return what handles alerts, or None where this bot does not lead."""
    host: AlertHost | None = client.get_cog(CogName.ALERTS)
    return host if host is not None and host.leadership.is_leader else None
