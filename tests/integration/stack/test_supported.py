"""What stacks of other people have works: values of variables, shared volumes, folders that the host renews."""

import docker

from tests.integration.stack.applying import apply, deploy, draft
from tests.integration.stack.sources.test_contents import shown

VALUES = """
services:
  web:
    image: tiny:v1
    read_only: true
    secrets: [password, {source: password, target: again}]
    configs: [{source: settings, target: /etc/settings}]
secrets: {password: {environment: APP_PASSWORD}}
configs: {settings: {environment: APP_SETTINGS}}
"""
SHARED = """
services:
  app: {image: tiny:v1, volumes: ["data:/data", "./site:/site:ro"]}
  web: {image: tiny:v1, volumes_from: ["app:ro"], volumes: ["other:/site"]}
volumes: {data: {}, other: {}}
"""
LIVE = """
services:
  web: {image: tiny:v1, volumes: ["./certs:/certs:ro,z", "./conf:/conf:ro,Z"], x-deploy: {live_binds: [./certs]}}
"""


async def test_values_of_variables_are_files(engine, stack, docker_client: docker.DockerClient, tmp_path):
    """A rollback brings the config's old value back; a secret is always today's."""
    environment = stack(VALUES, env="APP_PASSWORD=hunter2\nAPP_SETTINGS=first\n")
    planned = await engine.of(environment).resolve(None, write_contents=False)
    assert not (tmp_path / "state").exists()
    first = await deploy(engine, environment)
    assert planned.definitions == (await engine.of(environment).resolve(None)).definitions
    look = "cat /run/secrets/password; echo; cat /run/secrets/again; echo; cat /etc/settings"
    (web,) = await engine.of(environment).containers()
    assert shown(docker_client, web.id, look) == "hunter2\nhunter2\nfirst"
    environment = stack(VALUES, env="APP_PASSWORD=swordfish\nAPP_SETTINGS=second\n")
    second = await draft(engine, environment)
    assert second.services[0].definition_hash != first.services[0].definition_hash
    release = type("Release", (), {"model_hash": first.model_hash, "version": "", "label": "r1"})
    renewed, warnings = await engine.of(environment).releases.renew(release)
    assert warnings == ()
    await apply(engine, environment, renewed)
    (web,) = await engine.of(environment).containers()
    assert shown(docker_client, web.id, look) == "swordfish\nswordfish\nfirst"


async def test_shared_volumes_are_written_out(engine, stack, docker_client: docker.DockerClient):
    environment = stack(SHARED)
    (environment.folder / "site").mkdir()
    await deploy(engine, environment)
    found = {container.service: container for container in await engine.of(environment).containers()}
    mounts = docker_client.containers.get(found["web"].id).attrs["Mounts"]
    assert {(mount.get("Name", "").rpartition("_")[2], mount["Destination"], mount["RW"]) for mount in mounts} == {
        ("data", "/data", False),
        ("other", "/site", True),
    }
    resolved = await engine.of(environment).resolve(None, write_contents=False)
    assert [dependency.on for dependency in resolved.definitions["web"].dependencies] == ["app"]
    assert any("volumes_from" in text for text in resolved.warnings)


async def test_live_bind_keeps_its_place(engine, stack, docker_client: docker.DockerClient):
    """What the host renews is seen at once, and is no part of the release; labels of SELinux are kept."""
    environment = stack(LIVE)
    for name in ("certs", "conf"):
        (environment.folder / name).mkdir()
        (environment.folder / name / "file").write_text("first")
    first = await deploy(engine, environment)
    (web,) = await engine.of(environment).containers()
    for name in ("certs", "conf"):
        (environment.folder / name / "file").write_text("second")
    assert shown(docker_client, web.id, "cat /certs/file /conf/file") == "secondfirst"
    binds = (await engine.load_model(first.model_hash))["services"]["web"]["volumes"]
    assert {bind["target"]: bind["bind"]["selinux"] for bind in binds} == {"/certs": "z", "/conf": "Z"}
    assert next(bind["source"] for bind in binds if bind["target"] == "/certs") == str(environment.folder / "certs")
    assert sum("contents" in bind["source"] for bind in binds) == 1


async def test_hooks_that_are_not_run_are_named(engine, stack):
    environment = stack("services: {web: {image: tiny:v1, post_start: [{command: ['true']}]}, db: {image: tiny:v1}}")
    found = await engine.of(environment).resolve(None, write_contents=False)
    assert [warning for warning in found.warnings if "does not run" in warning] == [
        "web has post_start, which this bot does not run: it starts and stops containers by the engine."
    ]


async def test_text_that_begins_with_a_break_is_whole(engine, stack):
    """Compose's YAML loses the first line break of such a text, as of settings that are a block of lines."""
    environment = stack(
        """
services:
  web:
    image: tiny:v1
    environment: ["A=\\nfirst: 1\\nsecond: $$2\\n", "B=\\n\\n  deep", "C=  deep\\nx", "D=plain"]
    x-deploy: {probe: {url: "tcp://web:80", startup_delay: 3}}
"""
    )
    (web,) = (await engine.of(environment).resolve(None, write_contents=False)).model["services"].values()
    assert web["environment"] == {
        "A": "\nfirst: 1\nsecond: $2\n",
        "B": "\n\n  deep",
        "C": "  deep\nx",
        "D": "plain",
    }
    assert web["x-deploy"]["probe"]["startup_delay"] == 3
