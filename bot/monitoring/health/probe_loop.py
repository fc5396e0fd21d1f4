"""Run the probes of a stack's services periodically, for as long as the stack is watched."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from roas.concurrency import pause_in_step
from roas.log import get_logger
from roas.models.dependency import PROBE_TIMEOUT_SECONDS
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition, ServiceProbe
from roas.monitoring.health.probe_history import ProbeHistory, place_of

log = get_logger(__name__)

EVERY_SECONDS = 10.0
# What did not answer is asked again soon, so that a verdict comes within seconds.
AGAIN_SECONDS = 1.0


class Prober(Protocol):
    """Ask a URL whether it answers."""

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        """Return whether it answers within its time; None where its name means nothing from here."""
        ...


class ProbeLoop:
    """Run every probe of one environment in rounds, and wake the observer when a result may change a verdict."""

    def __init__(
        self,
        environment: Environment,
        prober: Prober,
        history: ProbeHistory,
        definitions: Callable[[], Awaitable[Mapping[str, ServiceDefinition]]],
        wake: Callable[[], None],
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._environment = environment
        self._prober = prober
        self._history = history
        self._definitions = definitions
        self._wake = wake
        self._every_seconds = every_seconds
        self._unreachable: set[str] = set()

    async def run(self) -> None:
        """Probe until cancelled; a failed round is not the last."""
        while True:
            well = True
            try:
                well = await self._round()
            except Exception:  # a probe loop that ends unnoticed would be worse than one that fails
                log.exception("probe round failed", environment=self._environment.name)
            await pause_in_step(self._every_seconds if well else min(AGAIN_SECONDS, self._every_seconds))

    async def _round(self) -> bool:
        """Ask every probe at the same time; returns whether all answered."""
        definitions = await self._definitions()
        asked = [(one.name, probe) for one in definitions.values() for probe in one.probes]
        answers = await asyncio.gather(*(self._ask(name, probe) for name, probe in asked))
        return all(answers)

    async def _ask(self, service: str, probe: ServiceProbe) -> bool:
        answer = await self._prober.probe(self._environment, probe.url, PROBE_TIMEOUT_SECONDS)
        if answer is None:
            if probe.url not in self._unreachable:
                self._unreachable.add(probe.url)
                log.info("a probe cannot run from here", service=service, probe=place_of(probe.url))
            return True
        if self._history.record(self._environment.name, service, probe.url, answered=answer):
            self._wake()
        return answer


async def all_probes_answer(prober: Prober, environment: Environment, definition: ServiceDefinition) -> bool:
    """Return whether every probe of a service answers right now; those that cannot run from here do not count."""
    asked = (prober.probe(environment, probe.url, PROBE_TIMEOUT_SECONDS) for probe in definition.probes)
    return all(answer is not False for answer in await asyncio.gather(*asked))
