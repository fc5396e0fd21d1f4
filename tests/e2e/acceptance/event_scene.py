"""An application from which a test may take a subscription away, and what can then be seen of it."""

from dataclasses import dataclass

from roas.app.application import Application
from roas.models.state_change import StateChange
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import Stack


@dataclass
class Scene:
    """Hold the application and its stack; `without` is the subscription that is taken away, if any."""

    application: Application
    stack: Stack
    without: str = ""

    async def prepare(self) -> People:
        """Take the subscription away and return those who ask for deployments."""
        await take_away(self.application, self.without)
        return People(self.application)

    async def audited(self, text: str) -> list[StateChange]:
        """Return the audit's entries about deployments with these words."""
        changes = await self.application.state.changes("dev", limit=500)
        return [change for change in changes if change.new == text and change.subject.startswith("DEPLOY-")]

    async def recorded(self, text: str) -> list[StateChange]:
        """Return the coordinator's changes with these words, once every event was handled."""
        await self.application.bus.drain()
        changes = await self.application.state.changes(limit=500)
        return [change for change in changes if change.new == text and change.source == "integration"]

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric as Prometheus does."""
        return self.application.metrics.registry.get_sample_value(name, labels) or 0.0


async def take_away(application: Application, name: str) -> None:
    """End the subscription of a name."""
    for subscription in application.bus.subscriptions:
        if subscription.name == name:
            await application.bus.unsubscribe(subscription)
