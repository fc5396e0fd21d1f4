"""Apply a stack the way a deployment does, without a deployment."""

from roas.engine.compose_engine import ComposeEngine
from roas.engine.interface import ReleaseDraft
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot


async def draft(engine: ComposeEngine, environment: Environment, version: str | None = "v1") -> ReleaseDraft:
    """Resolve what lies in the folder and pin it to the images that are here."""
    stack = await engine.resolve(environment, version)
    wanted = await engine.look_up_images(stack, frozenset(stack.definitions))
    image_ids = {name: image.image_id for name, image in wanted.items() if image.image_id}
    return await engine.draft_release(stack, image_ids)


async def apply(engine: ComposeEngine, environment: Environment, model_hash: str) -> tuple[ContainerSnapshot, ...]:
    """Create and start every service of a model, one after the other."""
    await engine.create_missing(environment, model_hash)
    for service in (await engine.load_model(model_hash))["services"]:
        for container_id in await engine.create_service(environment, model_hash, service):
            await engine.start(environment, container_id)
    return await engine.containers(environment)


async def make(engine: ComposeEngine, environment: Environment, model_hash: str) -> tuple[ContainerSnapshot, ...]:
    """Create every service of a model as `apply` does, and start none: what is made shows all but how it runs."""
    await engine.create_missing(environment, model_hash)
    for service in (await engine.load_model(model_hash))["services"]:
        await engine.create_service(environment, model_hash, service)
    return await engine.containers(environment)


async def deploy(
    engine: ComposeEngine, environment: Environment, version: str | None = "v1", *, started: bool = True
) -> ReleaseDraft:
    """Draft a release of what lies in the folder and apply it; or, unless it is to be started, only make it."""
    drafted = await draft(engine, environment, version)
    await (apply if started else make)(engine, environment, drafted.model_hash)
    return drafted
