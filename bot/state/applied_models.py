"""Say by which model each service of an environment runs: a deployment that waits for a person has moved some."""

from collections.abc import Iterable
from dataclasses import dataclass

from roas.models.holding import Holding
from roas.state.manager import StateManager


@dataclass(frozen=True, slots=True)
class AppliedModels:
    """Hold the model of the current release, and the one that a deployment has brought some services to."""

    current: str
    arriving: str | None = None
    holding: Holding | None = None

    def of(self, service: str) -> str:
        """Return the model that a service runs by."""
        has_arrived = self.holding is not None and self.holding.has_arrived(service)
        return self.arriving if has_arrived and self.arriving is not None else self.current

    def is_held(self, service: str) -> bool:
        """Return whether a deployment is in the middle of a service."""
        return self.holding is not None and self.holding.holds(service)

    @property
    def all(self) -> tuple[str, ...]:
        """Return each of the models."""
        return tuple(dict.fromkeys((self.current, *filter(None, (self.arriving,)))))

    def by_model(self, services: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return services by the model that each runs by."""
        found = {model: {one for one in services if self.of(one) == model} for model in self.all}
        return {model: frozenset(names) for model, names in found.items() if names}


async def find_applied_models(state: StateManager, environment: str) -> AppliedModels | None:
    """Return the models of an environment, or None where it has no release, or a deployment changes it right now."""
    current = await state.releases.applied_model(environment)
    holding = await state.deployments.holding(environment)
    if current is None or (holding is not None and not holding.paused):
        return None
    if holding is None or holding.to_release is None:
        return AppliedModels(current, holding=holding)
    moving = await state.deployments.get(holding.deployment_id)
    release = await state.releases.get(environment, holding.to_release)
    applied = moving.applied_model if moving is not None else None
    return AppliedModels(current, applied or (release.model_hash if release is not None else None), holding)
