"""Apply a stack the way a deployment does, without a deployment."""

from collections.abc import Mapping
from typing import Any

from roas.deploy.planning.plan import changed_keys
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.stack.adopting.adoption import adopt_project
from roas.stack.adopting.contents import bind_adopted
from roas.stack.interface import PinnedStack
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks


async def draft(engine: Stacks, environment: Environment, version: str | None = "v1") -> PinnedStack:
    """Resolve what lies in the folder and pin it to the images that are here."""
    stack = await engine.of(environment).resolve(version)
    wanted = await engine.of(stack.environment).images.look_up(stack, frozenset(stack.definitions))
    image_ids = {name: image.image_id for name, image in wanted.items() if image.image_id}
    return await engine.of(stack.environment).releases.pin(stack, image_ids)


async def apply(engine: Stacks, environment: Environment, model_hash: str) -> tuple[ContainerSnapshot, ...]:
    """Create and start every service of a model, one after the other."""
    await engine.of(environment).create_missing(model_hash)
    for service in (await engine.load_model(model_hash))["services"]:
        for container_id in await engine.of(environment).create_service(model_hash, service):
            await engine.of(environment).start(container_id)
    return await engine.of(environment).containers()


async def make(engine: Stacks, environment: Environment, model_hash: str) -> tuple[ContainerSnapshot, ...]:
    """Create every service of a model as `apply` does, and start none: what is made shows all but how it runs."""
    await engine.of(environment).create_missing(model_hash)
    for service in (await engine.load_model(model_hash))["services"]:
        await engine.of(environment).create_service(model_hash, service)
    return await engine.of(environment).containers()


async def deploy(
    engine: Stacks, environment: Environment, version: str | None = "v1", *, started: bool = True
) -> PinnedStack:
    """Draft a release of what lies in the folder and apply it; or, unless it is to be started, only make it."""
    drafted = await draft(engine, environment, version)
    await (apply if started else make)(engine, environment, drafted.model_hash)
    return drafted


async def hashes_of(stack: Stack, model_hash: str, *, as_it_is: bool = False) -> dict[str, str]:
    """Return the configuration hash that each service's containers should have under a model."""
    wanted = await stack.wanted_services(await stack.load_model(model_hash), as_it_is=as_it_is)
    return {name: service.config_hash for name, service in wanted.items()}


async def differs_in_nothing(stack: Stack, model: Mapping[str, Any]) -> None:
    """A plan shows no difference between files and what was read back of the containers that they mean, either way."""
    read_back = await adopt_project(stack.engine, await stack._parts.resolver.written(stack.environment, "v1"))
    assert read_back is not None
    # No container shows its hooks, which are told as new.
    services = {
        name: {key: value for key, value in fields.items() if key not in {"post_start", "pre_stop"}}
        for name, fields in model["services"].items()
    }
    model = {**model, "services": services}
    contents = stack._parts.contents
    adopted = bind_adopted(read_back.model, read_back.copied, contents, stack.environment.folder, write=False)
    for old, new in ((adopted, model), (model, adopted)):
        respelled = await stack.releases.respelled(old, new)
        shown = await stack.describe_changes(respelled, new)
        assert not shown, "\n".join(shown)
        changed = {name: keys for name in model["services"] if (keys := changed_keys(respelled, new, name))}
        assert not changed, changed
