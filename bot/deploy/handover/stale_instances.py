"""Remove stale instances of the bot, and report the containers of its service that are on another journal."""

import time
from collections.abc import Iterator

from roas.deploy.components import Components
from roas.deploy.context import SOURCE, DeploymentContext
from roas.deploy.own_service import OwnService
from roas.deploy.peers import proven_peers
from roas.errors import FencedOffError, RoasError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.deployment import ServiceStep
from roas.models.environment import Environment
from roas.models.events import IntegrationDegraded, IntegrationRecovered
from roas.models.facts import OwnContainer
from roas.models.health import ENDED, ContainerSnapshot
from roas.models.leader_lease import PeerVerdict, Standing
from roas.stack.containers.watch import ContainerWatch
from roas.state.transaction import Fence

log = get_logger(__name__)


async def remove_predecessors(context: DeploymentContext, watch: ContainerWatch) -> None:
    """Remove the containers of the bot's own service beside this one: predecessors whose watch is over.

    One that cannot be removed undoes no release that has proved itself: it is a warning, and tried again at the end.
    """
    own = await context.components.own_container(context.environment)
    if own is None:
        return
    await watch.refresh()
    others = tuple(c for c in watch.of_service(own.service) if c.id != own.id)
    others = await proven_peers(context.components.peers, context.environment, others, context.warn)
    if others:
        await context.report(own.service, ServiceStep.REMOVING, said("the old one"))
        try:
            await context.components.manager.remove_containers(context.stack, others)
        except FencedOffError:
            raise
        except RoasError as error:
            context.warn(
                said(
                    "The old {service} could not be removed at once: {message}",
                    service=own.service,
                    message=error.message,
                )
            )
        if context.deployment.problem is None:
            await context.report(own.service, ServiceStep.HEALTHY, said("it took over from the old one"))
        else:
            await context.report(own.service, ServiceStep.RESTORED, said("it took over again"))


async def remove_stale_instances(own_service: OwnService, fence: Fence) -> None:
    """Leave the leader as the only one of its service, where a deployment ends that will not do it any more."""
    components = own_service.components
    try:
        bot = await own_service.bot()
        if bot is None:
            return
        containers = await own_service.stack.containers()
        others = tuple(c for c in containers if c.service == bot.service and c.id != bot.id)
        others = await proven_peers(components.peers, own_service.environment, others)
        await components.state.locks.check(fence)
        await components.manager.remove_containers(own_service.stack, others)
    except FencedOffError:
        raise
    except RoasError as error:
        log.warning("a second bot could not be removed", error=error.message, hint=error.hint)


class OwnServiceSweep:
    """Remove what interrupted replacements of this bot left and no deployment will remove, now that this one leads.

    What somebody else is just making is looked at again (`Authorship`).
    """

    def __init__(self, components: Components) -> None:
        self._components = components

    async def run(self, environment: Environment) -> bool:
        """Look once; return whether that is done.

        It is not while a deployment runs, while the journal of a remaining instance is unknown, or where a container
        is to be looked at again. Raises RoasError.
        """
        components = self._components
        if not await _nothing_is_under_way(components, environment):
            return False
        own = await components.own_container(environment)
        if own is None:
            return True
        for action in await OwnService(components, environment).sweep(own.service):
            log.warning("leftovers of a replacement removed", action=action)
        containers = await components.stacks.of(environment).containers()
        judged = await components.peers.judge(environment, _leftovers(containers, own))
        leftovers = tuple(judgement.container for judgement in judged if judgement.standing is Standing.PEER)
        # Checked again after the look: by now a successor that was seen belongs to a deployment that holds the lock.
        if not await _nothing_is_under_way(components, environment):
            return False
        for container in leftovers:
            log.warning("removing a stale instance", container=container.name, state=container.state.value)
        await components.manager.remove_containers(components.stacks.of(environment), leftovers)
        return all(judgement.standing is not Standing.UNPROVEN for judgement in judged)


async def _nothing_is_under_way(components: Components, environment: Environment) -> bool:
    """Return whether this bot leads and no deployment runs."""
    lease = await components.state.ownership.lease()
    ours = lease is not None and lease.instance_id == components.state.instance_id
    return ours and await components.state.locks.get(environment.name) is None


def _leftovers(containers: tuple[ContainerSnapshot, ...], own: OwnContainer) -> tuple[ContainerSnapshot, ...]:
    """Return the other bots that have ended, or were never started, or run as another release says.

    An instance with the same configuration was started by hand (`--scale`); it stays on standby and does no harm.
    """
    bots = tuple(c for c in containers if c.service == own.service)
    config_hash = next((c.config_hash for c in bots if c.id == own.id), None)
    others = (c for c in bots if c.id != own.id)
    return tuple(c for c in others if c.state in ENDED or c.never_ran or config_hash not in {None, c.config_hash})


# One that has just been started is given the time to come up and say on which journal it is.
PATIENCE_SECONDS = 60.0
REMEDY = said("Remove it, or let it use the STATE_DIR of this bot.")


class ForeignBots:
    """Look at the containers beside this bot's own; an alert fires while there is a foreign one, and then clears."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._reported: dict[str, tuple[str, ...]] = {}
        self._unproven_since: dict[str, float] = {}

    async def check(self, environment: Environment) -> None:
        """Look once; not while a deployment is under way, whose successor has proved nothing yet. Raises RoasError."""
        components = self._components
        own = await components.own_container(environment)
        if own is None or await components.state.locks.get(environment.name) is not None:
            return
        stack = components.stacks.of(environment)
        beside = frozenset(
            seen.id for seen in await stack.listed() if seen.service == own.service and seen.id != own.id
        )
        judged = await components.peers.judge(environment, await stack.containers_by_id(beside) if beside else ())
        self._warn(environment, own.service, tuple(self._foreign(judged)))

    def _foreign(self, judged: tuple[PeerVerdict, ...]) -> Iterator[str]:
        now = time.monotonic()
        unproven = {judgement.container.id for judgement in judged if judgement.standing is Standing.UNPROVEN}
        self._unproven_since = {id_: self._unproven_since.get(id_, now) for id_ in unproven}
        for judgement in judged:
            since = self._unproven_since.get(judgement.container.id, now)
            if judgement.standing is Standing.FOREIGN or now - since >= PATIENCE_SECONDS:
                yield judgement.text

    def _warn(self, environment: Environment, service: str, texts: tuple[str, ...]) -> None:
        if self._reported.get(environment.name) == texts:
            return
        self._reported[environment.name] = texts
        for text in texts:
            log.warning("a foreign bot is left alone", reason=text)
        kind = IntegrationDegraded if texts else IntegrationRecovered
        self._components.bus.publish(
            kind(
                figure=f"foreign_bot:{environment.name}",
                title=said("another bot of {service} is not on this bot's journal", service=service),
                summary=joined(" ", (*texts, REMEDY)) if texts else "",
                source=SOURCE,
            )
        )
