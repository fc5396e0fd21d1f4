"""A file that says what the image or the engine says already means the same container, whoever made it of which file.

Key by key: started by Compose with a key and taken over by a file without it, and the other way round.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import docker
import pytest
import yaml

from roas.models.environment import Environment
from roas.stack.model.key_values import usual_cgroup
from roas.stack.policy.keys import KEYS
from roas.stack.stacks import Stacks
from testbed.busybox import busybox
from testbed.engine import manual_environment
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.applying import apply, differs_in_nothing, draft
from tests.integration.stack.containers.test_beside_compose import differing, there, up

IMAGE = "roas-said/full:v1"
ENTRYPOINT = ["sh", "-c"]
COMMAND = ["exec sleep 1000"]
# What the image says, or the engine gives to a container that asks for nothing, in each way that somebody may write it.
SAID: dict[str, list[Any]] = {
    "cap_drop": [[]],
    "cpu_count": [0],
    "cpu_percent": [0],
    "cpu_period": [0],
    "cpu_quota": [0],
    "cpu_shares": [0],
    "cpus": [0],
    "cpuset": [""],
    "deploy": [
        {"replicas": 1},
        {"mode": "replicated"},
        {"resources": {}},
        {"resources": {"limits": {"cpus": "0"}}},
        {"resources": {"limits": {"memory": "0"}}},
        {"restart_policy": {"condition": "none"}},
        {"update_config": {"parallelism": 1}},
        {"labels": {}},
    ],
    "dns": [[]],
    "dns_opt": [[]],
    "dns_search": [[]],
    "environment": [{"SAID": "yes"}, ["SAID=yes"]],
    "expose": [["80"], ["80/tcp"]],
    "extra_hosts": [[], {}],
    "group_add": [[]],
    "healthcheck": [{"test": ["CMD", "true"], "interval": "60s"}, {"interval": "1m0s"}],
    "init": [False],
    "ipc": ["private"],
    "isolation": ["default"],
    "labels": [{"said": "yes"}, ["said=yes"]],
    "links": [[]],
    "logging": [{"driver": "json-file"}, {"driver": "json-file", "options": {}}, {"options": {}}],
    "mem_limit": [0],
    "mem_reservation": [0],
    "mem_swappiness": [-1],
    "memswap_limit": [0],
    "networks": [{"default": {}}, {"default": None}, ["default"]],
    "oom_kill_disable": [False],
    "oom_score_adj": [0],
    "pid": [""],
    "pids_limit": [0, -1],
    "ports": [[]],
    "privileged": [False],
    "profiles": [[]],
    "pull_policy": ["missing", "never"],
    "read_only": [False],
    "restart": ["no"],
    "scale": [1],
    "security_opt": [[]],
    "shm_size": ["64m", "67108864"],
    "stdin_open": [False],
    "stop_grace_period": ["10s"],
    "stop_signal": ["SIGTERM"],
    "storage_opt": [{}],
    "sysctls": [{}, []],
    "tmpfs": [[]],
    "tty": [False],
    "ulimits": [{}],
    "user": ["0"],
    "userns_mode": [""],
    "uts": [""],
    "volumes": [["/said"], []],
    "working_dir": ["/tmp"],
    "attach": [True, False],
    "configs": [[]],
    "secrets": [[]],
    "annotations": [{}],
    "blkio_config": [{}],
    "cap_add": [[]],
    "cgroup_parent": [""],
    "device_cgroup_rules": [[]],
    "devices": [[]],
    "runtime": ["runc"],
    "platform": ["linux/amd64"],
    "mac_address": [""],
    "volumes_from": [[]],
    "depends_on": [[], {}],
    "develop": [{"watch": []}],
    "domainname": [""],
    "hostname": [""],
    "env_file": [["said.env"]],
    "external_links": [[]],
    "cpu_rt_period": [0],
    "cpu_rt_runtime": [0],
}
# The same below a key of a service, and of networks and volumes: a container may be another by it, and still stays with
# the file that it was made of.
BELOW: dict[str, dict[str, Any]] = {
    "attached": {
        "networks": {
            "default": {
                "aliases": [],
                "driver_opts": {},
                "ipv4_address": "",
                "ipv6_address": "",
                "link_local_ips": [],
                "mac_address": "",
                "priority": 0,
            }
        },
        "ports": [{"target": 80, "mode": "ingress", "protocol": "tcp", "name": "web", "app_protocol": "http"}],
    },
    "mounting": {
        "volumes": [
            {"type": "volume", "target": "/said", "read_only": False, "volume": {"nocopy": False}},
            {"type": "volume", "source": "named", "target": "/named", "consistency": "consistent"},
            {
                "type": "bind",
                "source": "./data",
                "target": "/data",
                "bind": {"create_host_path": True, "propagation": "rprivate"},
            },
            {"type": "tmpfs", "target": "/scratch", "tmpfs": {"size": 0}},
        ],
    },
    "probed": {
        "healthcheck": {
            "test": ["CMD", "true"],
            "interval": "60s",
            "timeout": "30s",
            "retries": 3,
            "start_period": "0s",
            "start_interval": "5s",
            "disable": False,
        },
    },
    "placed": {
        "deploy": {
            "endpoint_mode": "vip",
            "placement": {},
            "resources": {"limits": {}, "reservations": {}},
            "rollback_config": {"parallelism": 0},
            "labels": {},
        },
    },
    # Of an image that declares no volume: only its container would show that.
    "lender": {"image": "tiny:v1", "volumes": ["named:/named"]},
    "lent": {"image": "tiny:v1", "volumes_from": ["lender"], "volumes": []},
}
AROUND: dict[str, Any] = {
    "networks": {
        "default": {
            "driver": "bridge",
            "driver_opts": {},
            "attachable": False,
            "internal": False,
            "enable_ipv6": False,
            "ipam": {"driver": "default"},
            "labels": {},
        }
    },
    "volumes": {"named": {"driver": "local", "driver_opts": {}, "labels": {}}},
}
# What is never said without asking for something else.
ASKS = {
    "build",
    "container_name",
    "credential_spec",
    "extends",
    "gpus",
    "image",
    "label_file",  # not known to Compose 2.26, like some of the others
    "models",
    "network_mode",
    "post_start",
    "pre_stop",
    "provider",
    "pull_refresh_after",
    "use_api_socket",
    "x-deploy",  # what the bot reads; no container has it
}
# What the policy wants to be asked for, though it changes nothing.
ALLOWED = ("runtime:way-0", "cgroup:cgroup")


def said_services(cgroup: str) -> dict[str, Any]:
    """Return services that say what is so anyway: the first ways of all keys together, the second ones, and so on.

    An entrypoint takes the image's command away, where the file has none.
    """
    most = max(map(len, SAID.values()))
    found = {
        f"way-{number}": {key: ways[number] for key, ways in SAID.items() if number < len(ways)}
        for number in range(most)
    }
    found["command"] = {"command": COMMAND}
    found["both"] = {"entrypoint": ENTRYPOINT, "command": COMMAND}
    found["cgroup"] = {"cgroup": cgroup}
    return {name: {"image": IMAGE, **fields} for name, fields in found.items()}


@pytest.fixture
def image(docker_client: docker.DockerClient) -> None:
    """An image that says all that an image can."""
    root = Rootfs()
    root.add_busybox(busybox(docker_client))
    import_image(
        docker_client,
        root.tar(),
        IMAGE,
        ENTRYPOINT=json.dumps(ENTRYPOINT),
        CMD=json.dumps(COMMAND),
        ENV=["PATH=/bin", "SAID=yes"],
        LABEL="said=yes",
        WORKDIR="/tmp",
        USER="0",
        EXPOSE="80",
        VOLUME='["/said"]',
        STOPSIGNAL="SIGTERM",
        HEALTHCHECK='--interval=60s CMD ["true"]',
    )


def test_each_key_of_a_service_is_here() -> None:
    """A key that is added to the policy's table is thought of here."""
    keys = {path.split(".")[2] for path in KEYS if path.startswith("services.*.")}
    assert keys - SAID.keys() - ASKS - {"cgroup", "command", "entrypoint"} == set()


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("said_by", [pytest.param("container", marks=pytest.mark.long), "file"])
async def test_what_is_said_already_recreates_nothing(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient, said_by: str
) -> None:
    said = said_services(usual_cgroup(docker_client.info()))
    plain = {name: {"image": IMAGE} for name in said}
    started, deployed = (said, plain) if said_by == "container" else (plain, said)
    environment = replace(stack(yaml.safe_dump({"services": started})), allowed=ALLOWED)
    (environment.folder / "said.env").write_text("SAID=yes\n")
    file = str(environment.compose_files[0])
    up = ["docker", "compose", "-p", environment.project, "-f", file, "up", "-d"]
    made = subprocess.run(
        up, env=manual_environment(environment.docker_host), capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    stack(yaml.safe_dump({"services": deployed}))
    resolved = await engine.of(environment).resolve("v1", write_contents=False)
    wanted = await engine.of(resolved.environment).images.look_up(resolved, frozenset(resolved.definitions))
    images = {name: container.image_id for name, container in wanted.items() if container.image_id}
    model = await engine.of(resolved.environment).releases.preview(resolved, images)
    found = model["services"]
    unlike = {name: fields["x-deploy"]["unlike"] for name, fields in found.items() if "unlike" in fields["x-deploy"]}
    assert unlike == {}
    assert {name for name, fields in found.items() if "adopted_hash" not in fields["x-deploy"]} == set()
    await differs_in_nothing(engine.of(environment), model)


@pytest.mark.long
@pytest.mark.usefixtures("image", "busybox_image")
@pytest.mark.parametrize("made_by", ["Compose", "bot"])
async def test_file_that_says_it_all_is_everybodys(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient, made_by: str
) -> None:
    """Taken over or made by the bot: neither `up -d` nor the next deployment recreates anything."""
    below = {name: {"image": IMAGE, **fields} for name, fields in BELOW.items()}
    services = {**said_services(usual_cgroup(docker_client.info())), **below}
    environment = replace(stack(yaml.safe_dump({"services": services, **AROUND})), allowed=ALLOWED)
    (environment.folder / "said.env").write_text("SAID=yes\n")
    (environment.folder / "data").mkdir()
    if made_by == "Compose":
        up(environment)
        before = await there(engine, environment)
        adopted = await engine.of(environment).releases.adopt("v1")
        assert await differing(engine, environment, adopted) == set()
        await apply(engine, environment, adopted.model_hash)
        assert await there(engine, environment) == before
    drafted = await draft(engine, environment)
    await apply(engine, environment, drafted.model_hash)
    made = await there(engine, environment)
    assert made_by == "bot" or made == before
    up(environment)
    assert await there(engine, environment) == made
    again = await draft(engine, environment)
    assert await differing(engine, environment, again) == set()
    await differs_in_nothing(engine.of(environment), await engine.load_model(again.model_hash))
