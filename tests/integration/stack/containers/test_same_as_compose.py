"""A container of the bot's is the one that `docker compose up` makes, but for a few differences that are meant."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from roas.errors import ComposePolicyError
from roas.models.environment import Environment
from roas.models.release import ReleaseState
from roas.redaction import Redactor
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.stacks import Stacks
from testbed.busybox import busybox
from testbed.engine import manual_environment
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.applying import deploy, differs_in_nothing, make
from tests.integration.stack.images.test_readable_images import release_of
from tests.integration.stack.normalised import normalised
from tests.unit.stack.containers.test_same_as_compose import STACK

# What differs, and why it is meant to.
MEANT = {
    "borrowing: Mounts /data RW": "Compose 2.26 forgets the `:ro` of `volumes_from`",
    "borrowing: Mounts /lent RW": "and so for volumes",
    "mounted: Mounts /site Source": "read-only folders are bound from the release's own copy",
    "mounted: Mounts /etc/settings.ini Source": "and so are configs",
    "mounted: Mounts /run/secrets/password Source": "and so are secrets",
    "mounted: Mounts /inline": "Compose copies an inline config into the container, which fails on a read-only root",
    "mounted: Mounts /run/secrets/key": "and so it does with a secret from a variable",
}


def started_by_hand(environment: Environment, *arguments: str) -> None:
    command = ["docker", "compose", "-p", environment.project, "-f", str(environment.compose_files[0]), *arguments]
    own = manual_environment(environment.docker_host)
    done = subprocess.run(command, env=own, cwd=environment.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def differences(one: Any, other: Any, path: str) -> Iterator[str]:
    """Yield the path of each difference; mounts are known by where they are."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path} {key}")
    elif one != other:
        yield path


def looks(client: docker.DockerClient, project: str) -> dict[str, Any]:
    found = client.containers.list(all=True, filters={"label": f"com.docker.compose.project={project}"})
    seen = {}
    for item in found:
        look = normalised(client, item.id)
        look["Mounts"] = {mount["Destination"]: _mount(mount) for mount in look["Mounts"]}
        for endpoint in look["Networks"].values():
            del endpoint["DNSNames"]  # which the engine makes of the aliases where it starts a container
        look["HostConfig"] = {key: _plain(value, found) for key, value in look["HostConfig"].items()}
        seen[item.name.removeprefix(f"{project}-").removesuffix("-1")] = look
    return seen


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    anonymous = mount.get("Type") == "volume" and len(str(mount.get("Name"))) == 64
    return {key: value for key, value in mount.items() if not (anonymous and key in {"Name", "Source"})}


def _plain(value: Any, found: Any) -> Any:
    """Name the other containers of the project by their names: the ids are new each time."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return sorted(value)  # Compose goes through its maps in any order
    for item in found:
        value = value.replace(item.id, item.name) if isinstance(value, str) else value
    return value


# The names that a whole disk may have here.
DISKS = sorted(path.name for path in Path("/sys/block").iterdir() if not path.name.startswith(("loop", "ram", "zram")))


@pytest.fixture
def stack_folder(stack, environment: Environment, docker_client, busybox_image: str) -> Iterator[Environment]:
    special = {"NAME": f"{environment.project}-special", "BRIDGE": environment.project, "TOKEN": "hunter2"}
    special["DISK"] = next(str(path) for path in map(Path("/dev").joinpath, DISKS) if path.is_block_device())
    written = stack(STACK, env="".join(f"{name}={value}\n" for name, value in special.items()))
    for name in ("site", "data", "app"):
        (written.folder / name).mkdir()
    (written.folder / "app" / "Dockerfile").write_text("FROM tiny:v1\nARG OF\nLABEL of=$OF\n")
    (written.folder / "own.labels").write_text("from=file\n")
    for name in ("site/index.html", "settings.ini", "password"):
        (written.folder / name).write_text(f"{name}\n")
    (written.folder / "web.env").write_text("FROM_FILE=yes\n")
    outside = docker_client.containers.run(busybox_image, name=f"{special['NAME']}-outside", detach=True)
    yield written
    outside.remove(force=True)


async def trusting(environment: Environment, state_dir: Path) -> Stacks:
    """An engine whose policy allows all that the stack asks for."""
    allow: tuple[str, ...] = ()
    for _ in range(5):
        engine = Stacks(state_dir=state_dir, instance_id="BOT", policy_allow=allow, redactor=Redactor())
        try:
            await engine.of(environment).resolve(None, write_contents=False)
        except ComposePolicyError as error:
            allow += error.entries
            await engine.close()
        else:
            return engine
    raise AssertionError(allow)


async def test_containers_are_those_of_compose(stack_folder: Environment, docker_client, tmp_path: Path) -> None:
    """What Compose made stays at an adoption; what is made in its place is the same."""
    before, after, unlike = await as_adopted(stack_folder, docker_client, tmp_path / "adopting")
    assert unlike == {}
    assert after == before
    by_compose = looks(docker_client, stack_folder.project)
    network = docker_client.networks.get(f"{stack_folder.project}_back").attrs
    started_by_hand(stack_folder, "down", "-v", "-t", "0")
    engine = await trusting(stack_folder, tmp_path / "trusting")
    try:
        drafted = await deploy(engine, stack_folder, None, started=False)
        model = await engine.load_model(drafted.model_hash)
        unlike = await engine.of(stack_folder).differences(model)
    finally:
        await engine.close()
    assert unlike == {}, "what nobody touched is as its release has it"
    by_us = looks(docker_client, stack_folder.project)
    assert by_us.keys() == by_compose.keys()
    found = [path for name in by_us for path in differences(by_compose[name], by_us[name], f"{name}:")]
    assert sorted(found) == sorted(MEANT)
    ours = docker_client.networks.get(f"{stack_folder.project}_back").attrs
    for key in ("Driver", "Internal", "Attachable", "IPAM", "Options", "EnableIPv6"):
        assert ours[key] == network[key]


# What a service is anyway, written out. Nothing of it makes a container another one.
DEFAULTS = """
x-common: &common {image: "tiny:v1", stop_grace_period: 0s}
services:
  process:
    <<: *common
    attach: true
    command: ["sleep", "1000"]
    entrypoint: []
    environment: {PATH: /bin}
    init: false
    labels: {tiny: "1"}
    logging: {driver: json-file}
    restart: "no"
    x-note: {to: people}
    stdin_open: false
    stop_signal: SIGTERM
    tty: false
    user: ""
    working_dir: /
    scale: 1
  host:
    <<: *common
    cgroup: private
    cpu_count: 0
    cpu_percent: 0
    cpu_period: 0
    cpu_quota: 0
    cpu_rt_period: 0
    cpu_rt_runtime: 0
    cpu_shares: 0
    cpus: 0
    cpuset: ""
    ipc: private
    mem_limit: 0
    mem_reservation: 0
    memswap_limit: 0
    oom_kill_disable: false
    oom_score_adj: 0
    pids_limit: 0
    platform: linux/amd64
    privileged: false
    pull_policy: missing
    read_only: false
    runtime: runc
    shm_size: 64m
    security_opt: []
    sysctls: {}
  limits:
    <<: *common
    mem_limit: 64m
    memswap_limit: 128m
    deploy:
      mode: replicated
      replicas: 1
      endpoint_mode: vip
      placement: {constraints: []}
      resources: {limits: {memory: 64M}, reservations: {cpus: "0.1"}}
      restart_policy: {condition: none}
      rollback_config: {parallelism: 1}
      update_config: {parallelism: 1, order: stop-first}
  checked:
    <<: *common
    healthcheck: {test: ["CMD", "true"], interval: 30s, timeout: 30s, retries: 3, start_period: 0s, start_interval: 5s}
  unlimited: {<<: *common, restart: on-failure, pids_limit: -1, memswap_limit: -1, mem_swappiness: -1}
  swapping: {<<: *common, mem_limit: 64m, memswap_limit: -1}
  networked:
    <<: *common
    dns: []
    expose: ["80"]
    hostname: ""
    networks: {default: {aliases: [networked], priority: 0}}
    ports: [{target: 80, protocol: tcp, mode: ingress, host_ip: 0.0.0.0}]
  bridged: {<<: *common, network_mode: bridge, uts: ""}
  mounted:
    <<: *common
    volumes:
      - type: bind
        source: ./data
        target: /data
        read_only: false
        bind: {propagation: rprivate, create_host_path: true}
      - {type: volume, source: store, target: /store, volume: {nocopy: false}}
      - {type: tmpfs, target: /scratch}
    tmpfs: ["/run"]
networks: {default: {driver: bridge, internal: false, attachable: false}}
volumes: {store: {driver: local}}
"""


# What an image says, and each part of it once more, as a file may repeat it.
SAYS: dict[str, Any] = {
    "ENTRYPOINT": '["/bin/env"]',
    "CMD": '["sleep", "1000"]',
    "ENV": "PATH=/bin",
    "LABEL": "of=image",
    "USER": "1000:1000",
    "WORKDIR": "/tmp",
    "STOPSIGNAL": "SIGINT",
    "EXPOSE": "9000",
    "HEALTHCHECK": '--interval=7s --timeout=5s --start-period=3s --retries=4 CMD ["true"]',
}
REPEATED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "entrypoint": {"entrypoint": ["/bin/env"]},
    "command": {"command": ["sleep", "1000"]},
    "both": {"entrypoint": ["/bin/env"], "command": ["sleep", "1000"]},
    "neither": {"entrypoint": [""], "command": ["sleep", "1000"]},
    "empty": {"entrypoint": [], "command": []},
    "environment": {"environment": {"PATH": "/bin"}},
    "labels": {"labels": {"of": "image"}},
    "user": {"user": "1000:1000"},
    "working": {"working_dir": "/tmp"},
    "signal": {"stop_signal": "SIGINT"},
    "expose": {"expose": ["9000/tcp"]},
    "check": {"healthcheck": {"test": ["CMD", "true"], "interval": "7s", "timeout": "5s", "retries": 4}},
    "times": {"healthcheck": {"start_period": "3s"}},
    "disabled": {"healthcheck": {"disable": True}},
    "options": {"logging": {"options": {"max-size": "1m"}}},
    "driver": {"logging": {"driver": "json-file", "options": {"max-file": "2"}}},
    "grace": {"stop_grace_period": "10s"},
}


async def as_adopted(environment: Environment, client: docker.DockerClient, state_dir: Path) -> tuple[Any, Any, Any]:
    """Start a stack by hand and take it over; returns the containers before and after, and what differs of which."""
    started_by_hand(environment, "up", "-d")
    before = starts(client, environment.project)
    engine = await trusting(environment, state_dir)
    try:
        drafted = await deploy(engine, environment, None)
        model = await engine.load_model(drafted.model_hash)
        await differs_in_nothing(engine.of(environment), model)
        services = model["services"]
    finally:
        await engine.close()
    unlike = {
        name: service["x-deploy"]["unlike"] for name, service in services.items() if service["x-deploy"].get("unlike")
    }
    return before, starts(client, environment.project), unlike


def starts(client: docker.DockerClient, project: str) -> dict[str, tuple[str, str]]:
    """Return each container's id and the time of its start, by its name."""
    own = {"label": f"com.docker.compose.project={project}"}
    found = client.containers.list(all=True, filters=own)
    return {item.name.removeprefix(project): (item.id, item.attrs["State"]["StartedAt"]) for item in found}


async def test_adopted_containers_stay(stack_folder: Environment, docker_client, tmp_path: Path) -> None:
    stack_folder.compose_files[0].write_text(DEFAULTS)
    before, after, unlike = await as_adopted(stack_folder, docker_client, tmp_path / "trusting")
    assert unlike == {}
    assert after == before


@pytest.mark.long
async def test_what_the_image_says_already_is_read_back(
    environment: Environment, docker_client, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the containers alone: they stay, and what is made of their model is the same once more."""

    async def unread(_self: object, _version: object, model: object, _images: object) -> object:
        return model

    monkeypatch.setattr(StackReleases, "_as_in_files", unread)
    root = Rootfs()
    root.add_busybox(busybox(docker_client))
    import_image(docker_client, root.tar(), "says:v1", **SAYS)
    services = {name: {"image": "says:v1", "network_mode": "none", **fields} for name, fields in REPEATED.items()}
    environment.compose_files[0].write_text(yaml.safe_dump({"services": services}))
    started_by_hand(environment, "create")
    started_by_hand(environment, "up", "-d", "nothing")
    engine = await trusting(environment, tmp_path / "state")
    try:
        adopted = await engine.of(environment).releases.adopt()
        assert adopted is not None
        model = await engine.load_model(adopted.model_hash)
        stack = await engine.of(environment).resolve(None)
        ids = {service.name: service.image.image_id for service in adopted.services}
        release = replace(release_of(adopted.model_hash, adopted.services), state=ReleaseState.ADOPTED)
        again = await engine.of(stack.environment).releases.pin(stack, ids, kept_from=release)
        drafted = (await engine.load_model(again.model_hash))["services"]
        assert {name: keys for name, item in drafted.items() if (keys := item["x-deploy"].get("unlike"))} == {}
        before = looks(docker_client, environment.project)
        for fields in model["services"].values():
            fields["x-deploy"].pop("adopted_hash")
        started_by_hand(environment, "down", "-t", "0")
        await make(engine, environment, engine._parts.models.save(model))
    finally:
        await engine.close()
    after = looks(docker_client, environment.project)
    found = [path for name in before for path in differences(before[name], after.get(name), f"{name}:")]
    assert found == []
