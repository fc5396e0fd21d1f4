"""Release 0 has what no mount shows: texts that Compose copied, and what the files say of updates."""

import pytest

from roas.stack.model.definitions import read_definitions
from tests.integration.stack.adopting.test_adoption import to_be_made_again
from tests.integration.stack.applying import apply, draft
from tests.integration.stack.containers.test_same_as_compose import started_by_hand, starts
from tests.integration.stack.sources.test_contents import shown

STACK = """
services:
  web:
    image: tiny:v1
    configs: [{source: inline, target: /etc/inline.ini}, varied]
    secrets: [token, {source: token, target: again}]
    volumes: ["./certs:/certs:ro", "./conf:/conf:ro"]
    deploy: {update_config: {monitor: 7s, order: start-first}, rollback_config: {order: start-first}}
    x-deploy: {critical: true, live_binds: [./certs], depends_on: {db: {kind: soft}, gone: {kind: soft}}}
  db: {image: tiny:v1, x-deploy: {depends_on: {web: {kind: required}}}}
configs: {inline: {content: "costs 5$$ (${WHO})"}, varied: {environment: WHO}}
secrets: {token: {environment: TOKEN}}
"""
LOOK = "cat /etc/inline.ini /varied /run/secrets/token /run/secrets/again /certs/file /conf/file"


@pytest.fixture
def by_compose(stack):
    """The stack, as a person has started it."""
    environment = stack(STACK, env="WHO=me\nTOKEN=hunter2\n")
    for name in ("certs", "conf"):
        (environment.folder / name).mkdir()
        (environment.folder / name / "file").write_text(f"{name}\n")
    started_by_hand(environment, "up", "-d")
    return environment


@pytest.mark.long
async def test_release_zero_is_the_stack_as_it_was_started(engine, by_compose, docker_client):
    """By looks alone, until all of it is made again in the end."""
    await release_zero_is_updated_as_written(engine, by_compose)
    await copied_texts_recreate_nothing(engine, by_compose, docker_client)
    (by_compose.folder / ".env").write_text("WHO=me\nTOKEN=hunter2\n")
    await release_zero_without_readable_files(engine, by_compose, docker_client)
    by_compose.compose_files[0].write_text(STACK)
    await release_zero_has_copied_texts(engine, by_compose, docker_client)


async def copied_texts_recreate_nothing(engine, by_compose, docker_client):
    before = starts(docker_client, by_compose.project)
    drafted = await draft(engine, by_compose)
    await apply(engine, by_compose, drafted.model_hash)
    assert starts(docker_client, by_compose.project) == before
    (by_compose.folder / ".env").write_text("WHO=you\nTOKEN=hunter2\n")
    changed = await draft(engine, by_compose)
    assert (await engine.load_model(changed.model_hash))["services"]["web"]["x-deploy"]["unlike"] == ["volumes"]


async def release_zero_has_copied_texts(engine, by_compose, docker_client):
    (web,) = [container for container in await engine.of(by_compose).containers() if container.service == "web"]
    first = shown(docker_client, web.id, LOOK)
    assert first == "costs 5$ (me)mehunter2hunter2certs\nconf"
    model_hash = await to_be_made_again(engine, by_compose)
    (by_compose.folder / "certs" / "file").write_text("renewed\n")
    (by_compose.folder / "conf" / "file").write_text("changed\n")
    await apply(engine, by_compose, model_hash)
    (again,) = [container for container in await engine.of(by_compose).containers() if container.service == "web"]
    assert again.id != web.id
    assert shown(docker_client, again.id, LOOK) == first.replace("certs", "renewed"), "the host renews certificates"


async def release_zero_is_updated_as_written(engine, by_compose):
    drafted = await engine.of(by_compose).releases.adopt()
    definitions = read_definitions(await engine.load_model(drafted.model_hash))
    web, db = definitions["web"], definitions["db"]
    assert (web.monitor_seconds, web.start_first, web.rollback_start_first, web.critical) == (7.0, True, True, True)
    assert [dependency.on for dependency in web.dependencies] == ["db"]
    assert db.dependencies == (), "what only the files name might close a cycle"


async def release_zero_without_readable_files(engine, by_compose, docker_client):
    """What runs is adopted whatever has become of its files."""
    by_compose.compose_files[0].write_text("services: {web: {imagee: x}}")
    drafted = await engine.of(by_compose).releases.adopt()
    before = starts(docker_client, by_compose.project)
    await apply(engine, by_compose, drafted.model_hash)
    assert starts(docker_client, by_compose.project) == before


async def test_names_with_underlines_stay(engine, stack, docker_client):
    """Older versions of Compose named containers so, and newer ones do where they are asked to."""
    environment = stack("services: {web: {image: tiny:v1}, twice: {image: tiny:v1, scale: 2}}")
    started_by_hand(environment, "--compatibility", "up", "-d")
    before = starts(docker_client, environment.project)
    assert before.keys() == {"_web_1", "_twice_1", "_twice_2"}
    drafted = await draft(engine, environment)
    await apply(engine, environment, drafted.model_hash)
    assert starts(docker_client, environment.project) == before
    model = await engine.load_model(drafted.model_hash)
    assert await engine.of(environment).differences(model) == {}
