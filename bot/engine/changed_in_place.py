"""Tell what hands changed of containers in place from what this bot itself changes of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from roas.engine.comparison import ContainerDifference
from roas.engine.stack import Stack
from roas.models.health import ContainerSnapshot

RESTART = "restart"


async def without_our_own(
    stack: Stack,
    model_hash: str,
    containers: Iterable[ContainerSnapshot],
    differences: Mapping[str, ContainerDifference],
) -> Mapping[str, ContainerDifference]:
    """Leave out what no hand changed: this bot keeps what is misled from being started again.

    `model_hash` is that of the model that runs, `differences` are those of the containers by id.
    """
    if all(RESTART not in one.changed for one in differences.values()):
        return differences
    held = await stack.misled_binds(model_hash)
    service_of = {one.id: one.service for one in containers}
    return {
        key: replace(one, changed=tuple(name for name in one.changed if name != RESTART))
        if service_of.get(key) in held
        else one
        for key, one in differences.items()
    }
