"""Releases name their images so that people know them; the content is what counts, whatever the names mean."""

import copy
from datetime import UTC, datetime

import pytest

from roas.errors import EngineError, ImageNotFoundError
from roas.models.actor import Actor, ActorKind
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.stack.containers import compose_creation
from roas.stack.images.readable_names import set_references
from roas.stack.images.release_tags import release_tag
from tests.integration.stack.applying import deploy, draft, make
from tests.unit.stack.images.test_readable_images import ID

WORKING_DIR = "com.docker.compose.project.working_dir"


@pytest.fixture
def web(stack):
    return stack("services: {web: {image: 'tiny:${VERSION}'}, db: {image: 'tiny:v1'}}")


async def test_ps_shows_known_names_and_folder(engine, web, docker_client):
    await deploy(engine, web, started=False)
    image = docker_client.images.get("tiny:v1")
    for container in await engine.of(web).containers():
        inspected = docker_client.api.inspect_container(container.id)
        assert inspected["Config"]["Image"] == "tiny:v1"
        assert inspected["Image"] == image.id
        assert inspected["Config"]["Labels"][WORKING_DIR] == str(web.folder)


@pytest.mark.parametrize("hand", ["moves", "removes"])
async def test_name_means_content_again(engine, web, docker_client, hand):
    drafted = await deploy(engine, web, started=False)
    image, other = docker_client.images.get("tiny:v1").id, docker_client.images.get("tiny:v2")
    (name,) = {item["image"] for item in (await engine.load_model(drafted.model_hash))["services"].values()}
    for container in await engine.of(web).containers():
        if container.service == "web":
            docker_client.api.remove_container(container.id, force=True)
    before = {one.id for one in await engine.of(web).containers()}
    if hand == "moves":
        other.tag(*name.split(":"))
    else:
        docker_client.api.remove_image(name, force=True)
    after = await make(engine, web, drafted.model_hash)
    assert {one.image_id for one in after} == {image}
    assert before <= {item.id for item in after}, "what is there already is left alone"
    assert docker_client.images.get(name).id == image


async def test_name_that_is_moved_while_its_container_is_made_starts_nothing(engine, stack, docker_client, monkeypatch):
    """It is set under the lock; what is created is compared with the draft by its ID before it is started."""
    first, other = (docker_client.images.get(name) for name in ("tiny:v1", "tiny:v2"))
    first.tag("contested", "now")
    environment = stack("services: {web: {image: 'contested:now'}}")
    drafted = await draft(engine, environment)

    async def set_and_moved(*arguments):
        found = await set_references(*arguments)
        other.tag("contested", "now")
        return found

    try:
        with monkeypatch.context() as patched:
            patched.setattr(compose_creation, "set_references", set_and_moved)
            with pytest.raises(EngineError, match="web was created from another image than the release has"):
                await engine.of(environment).create_service(drafted.model_hash, "web")
        assert await engine.of(environment).containers() == ()
        await engine.of(environment).create_service(drafted.model_hash, "web")
        (web,) = await engine.of(environment).containers()
        assert web.image_id == first.id
    finally:
        for container in await engine.of(environment).containers():
            docker_client.api.remove_container(container.id, force=True)
        docker_client.api.remove_image("contested:now", force=True)


async def test_container_of_moved_name_is_replaced(engine, web, docker_client):
    """Compose by hand on the release's own file makes the right hash of the wrong content."""
    drafted = await deploy(engine, web, started=False)
    model = await engine.load_model(drafted.model_hash)
    name, image = model["services"]["web"]["image"], docker_client.images.get("tiny:v1").id
    (web_before,) = (container for container in await engine.of(web).containers() if container.service == "web")
    docker_client.api.remove_container(web_before.id, force=True)
    docker_client.images.get("tiny:v2").tag(*name.split(":"))
    labels = docker_client.api.inspect_container((await engine.of(web).containers())[0].id)["Config"]["Labels"]
    wrong = docker_client.api.create_container(
        name,
        name=web_before.name,
        labels={
            **labels,
            "com.docker.compose.service": "web",
            "com.docker.compose.config-hash": web_before.config_hash,
            "com.docker.compose.image": docker_client.images.get("tiny:v2").id,
        },
    )
    after = await make(engine, web, drafted.model_hash)
    assert {container.image_id for container in after} == {image}
    assert wrong["Id"] not in {item.id for item in after}


async def test_same_content_keeps_its_container(engine, web, docker_client):
    """Neither another tag of the same content, nor a model that names it by its ID alone, makes a new container."""
    docker_client.images.get("tiny:v1").tag("tiny", "v1-again")
    first = await draft(engine, web)
    model = copy.deepcopy(dict(await engine.load_model(first.model_hash)))
    for fields in model["services"].values():  # as the version before wrote it
        fields["image"] = fields.pop("x-deploy")["image_id"]
    old_hash = engine._parts.models.save(model)
    before = {item.id for item in await make(engine, web, old_hash)}
    stack = await engine.of(web).resolve("v1-again")
    wanted = await engine.of(stack.environment).images.look_up(stack, frozenset(stack.definitions))
    kept_from = release_of(old_hash, first.services)
    again = await engine.of(stack.environment).releases.pin(
        stack, {name: container.image_id for name, container in wanted.items()}, kept_from=kept_from
    )
    assert {item.id for item in await make(engine, web, again.model_hash)} == before


async def test_image_that_is_gone_is_named(engine, web, docker_client):
    drafted = await draft(engine, web)
    model = copy.deepcopy(dict(await engine.load_model(drafted.model_hash)))
    model["services"]["web"] = {**model["services"]["web"], "image": "roas/gone:v1", "x-deploy": {"image_id": ID}}
    with pytest.raises(ImageNotFoundError, match="roas/gone:v1"):
        await engine.of(web).create_service(engine._parts.models.save(model), "web")


@pytest.mark.long
@pytest.mark.parametrize("hand", ["leaves the tag", "moves the tag"])
async def test_names_go_with_the_last_release(engine, web, docker_client, hand):
    """So does the image, where somebody moved the release's own tag: to another one, which keeps it."""
    docker_client.images.get("tiny:v2").tag("tiny", "v3")
    drafted = await draft(engine, web, "v3")
    name = (await engine.load_model(drafted.model_hash))["services"]["web"]["image"]
    release = release_of(drafted.model_hash, drafted.services)
    await make(engine, web, drafted.model_hash)
    await engine.of(web).releases.protect(release)
    assert name in docker_client.images.get("tiny:v3").tags
    tag, other = release_tag(web.project, "web", release.number), docker_client.images.get("tiny:v1")
    if hand == "moves the tag":
        for container in await engine.of(web).containers():
            docker_client.api.remove_container(container.id, force=True)
        other.tag(*tag)
    await engine.of(web).releases.unprotect(release)
    assert name not in docker_client.images.get("tiny:v3").tags
    other.reload()
    assert (":".join(tag) in other.tags) is (hand == "moves the tag")


def release_of(model_hash: str, services: tuple[ReleaseService, ...]) -> Release:
    actor = Actor(ActorKind.SYSTEM, "0", "test")
    return Release("dev", 1, "v1", ReleaseState.SUCCEEDED, services, model_hash, datetime.now(UTC), actor)
