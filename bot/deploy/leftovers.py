"""Find and clear what killed processes left, and the container that the bot itself runs in."""

from collections.abc import Callable

from roas.deploy.authorship import Authorship, left_alone
from roas.deploy.components import Components
from roas.deploy.peers import spared_bots
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ContainerSnapshot
from roas.stack.interface import SweptContainers


async def sweep_leftovers(
    components: Components,
    environment: Environment,
    service: str | None = None,
    *,
    on_left: Callable[[str], None] = lambda text: None,
) -> tuple[str, ...]:
    """Fix what a killed Compose of ours left behind, of one service or all, but for bots that are no peers.

    What somebody else is making stays as it is (`Authorship`), and `on_left` is told. Returns a summary of what was
    done. Raises RoasError.
    """
    spared, others = await _spared(components, environment)
    for one in others:
        on_left(left_alone(one))
    return await components.stacks.of(environment).sweep(service, spared=spared)


async def expected_containers(components: Components, environment: Environment) -> SweptContainers:
    """Return the containers as sweep_leftovers would leave them; changes nothing."""
    spared, _ = await _spared(components, environment)
    return await components.stacks.of(environment).expected_repairs(spared=spared)


async def _spared(
    components: Components, environment: Environment
) -> tuple[frozenset[str], tuple[ContainerSnapshot, ...]]:
    """Return, by id, what is not to be swept, and those of them that somebody else is making."""
    stack = components.stacks.of(environment)
    bot = await find_own_bot(components, environment)
    spared = await spared_bots(components.peers, stack, bot)
    others = await Authorship(components.stacks, components.state).of_others(environment, await stack.outline())
    return spared | {one.id for one in others}, others


async def find_own_bot(components: Components, environment: Environment) -> OwnContainer | None:
    """Return the container of an environment that the bot runs in: this process's own, or the leader's."""
    own = await components.own_container(environment)
    if own is not None or not environment.is_home:
        return own
    ownership = components.state.ownership
    lease = await ownership.lease()
    leader = await ownership.heartbeat(instance_id=lease.instance_id) if lease is not None else None
    working = [one for one in await components.stacks.of(environment).containers() if one.state in AT_WORK]
    # A killed one is started again, and one that was just created does not lead yet: both are bots.
    for one in sorted(working, key=lambda one: leader is None or one.id != leader.container_id):
        if await ownership.heartbeat(container_id=one.id) is not None:
            return OwnContainer(one.id, one.name, environment.project, one.service)
    return None
