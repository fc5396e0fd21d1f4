"""Report, once, containers of the bot's service that are not peers: nothing else would remove or explain them."""

import time
from collections.abc import Iterator

from roas.deploy.components import Components
from roas.deploy.context import SOURCE
from roas.deploy.peers import Judgement, Standing
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.environment import Environment
from roas.models.events import IntegrationDegraded, IntegrationRecovered

log = get_logger(__name__)

# One that has just been started is given the time to come up and say on which journal it is.
PATIENCE_SECONDS = 60.0
REMEDY = said("Remove it, or let it use the STATE_DIR of this bot.")


class ForeignBots:
    """Look at the containers beside this bot's own; an alert fires while there is a foreign one, and then clears."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._reported: dict[str, tuple[str, ...]] = {}
        self._unproven_since: dict[str, float] = {}

    async def look(self, environment: Environment) -> None:
        """Look once; not while a deployment is under way, whose successor has proved nothing yet. Raises RoasError."""
        components = self._components
        own = await components.own_container(environment)
        if own is None or await components.state.locks.get(environment.name) is not None:
            return
        containers = await components.stacks.of(environment).containers()
        others = [one for one in containers if one.service == own.service and one.id != own.id]
        judged = await components.peers.judge(environment, others)
        self._warn(environment, own.service, tuple(self._foreign(judged)))

    def _foreign(self, judged: tuple[Judgement, ...]) -> Iterator[str]:
        now = time.monotonic()
        unproven = {one.container.id for one in judged if one.standing is Standing.UNPROVEN}
        self._unproven_since = {id_: self._unproven_since.get(id_, now) for id_ in unproven}
        for one in judged:
            since = self._unproven_since.get(one.container.id, now)
            if one.standing is Standing.FOREIGN or now - since >= PATIENCE_SECONDS:
                yield one.text

    def _warn(self, environment: Environment, service: str, texts: tuple[str, ...]) -> None:
        if self._reported.get(environment.name) == texts:
            return
        self._reported[environment.name] = texts
        for one in texts:
            log.warning("a foreign bot is left alone", reason=one)
        kind = IntegrationDegraded if texts else IntegrationRecovered
        self._components.bus.publish(
            kind(
                figure=f"foreign_bot:{environment.name}",
                title=said("another bot of {service} is not on this bot's journal", service=service),
                summary=joined(" ", (*texts, REMEDY)) if texts else "",
                source=SOURCE,
            )
        )
