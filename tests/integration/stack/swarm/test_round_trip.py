"""What is sent is what a manager shows, in the normal form of both: else a stack would differ from its release."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.models.environment import Environment
from roas.stack.docker.engine import EngineClients
from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.normal_form import differing_keys, normal_form, spec_hash
from roas.stack.swarm.writing.service_spec import service_spec
from roas.stack.swarm.writing.service_writes import make_shared
from roas.stack.swarm.writing.writer import SwarmWriter

pytestmark = pytest.mark.engine

ALL: dict[str, Any] = {
    "image": "app:v1",
    "entrypoint": ["/serve"],
    "command": ["one", "two"],
    "environment": {"A": "1", "B": None, "C": ""},
    "user": "1000:1000",
    "group_add": ["10"],
    "working_dir": "/www",
    "hostname": "{{.Node.Hostname}}",
    "init": True,
    "tty": True,
    "stdin_open": True,
    "read_only": True,
    "stop_signal": "SIGINT",
    "stop_grace_period": "1m5s",
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["MKNOD"],
    "sysctls": {"net.core.somaxconn": "1024"},
    "ulimits": {"nofile": {"soft": 100, "hard": 200}, "nproc": 50},
    "extra_hosts": ["elsewhere=10.1.2.3"],
    "dns": ["10.1.1.1"],
    "dns_search": ["example.org"],
    "dns_opt": ["ndots:2"],
    "labels": {"of": "the container", "empty": ""},
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    "healthcheck": {"test": ["CMD", "true"], "interval": "5s", "timeout": "2s", "retries": 2, "start_interval": "1s"},
    "tmpfs": ["/scratch"],
    "volumes": [
        {"type": "volume", "source": "data", "target": "/data", "volume": {"nocopy": True}},
        {"type": "volume", "target": "/anonymous"},
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": "1048576", "mode": 0o1777}},
    ],
    "ports": [
        {"target": 8080, "published": "18080", "mode": "host", "protocol": "tcp"},
        {"target": 53, "published": "10053", "mode": "host", "protocol": "udp"},
    ],
    "networks": {"back": {"aliases": ["other"]}, "front": None},
    "deploy": {
        "replicas": 0,
        "endpoint_mode": "dnsrr",
        "labels": {"team": "a"},
        "update_config": {"parallelism": 0, "delay": "1s", "monitor": "3s", "max_failure_ratio": 0.3},
        "rollback_config": {"order": "start-first", "failure_action": "continue"},
        "restart_policy": {"condition": "on-failure", "delay": "2s", "max_attempts": 3, "window": "10s"},
        "resources": {"limits": {"cpus": 0.5, "memory": "52428800", "pids": 64}, "reservations": {"memory": "8388608"}},
        "placement": {
            "constraints": ["node.role == manager"],
            "preferences": [{"spread": "node.labels.zone"}],
            "max_replicas_per_node": 2,
        },
    },
}


@pytest.mark.parametrize(
    "fields",
    [
        ALL,
        {"image": "app:v1", "networks": {"back": None}},
        {"image": "app:v1", "networks": {"back": None}, "deploy": {"mode": "global"}},
        {"image": "app:v1", "networks": {"back": None}, "x-deploy": {"one_shot": True, "round": "1"}},
        {"image": "app:v1", "networks": {"back": None}, "healthcheck": {"disable": True}, "restart": "no"},
    ],
    ids=["all of it", "nothing", "global", "job", "no check"],
)
async def test_sent_is_what_is_shown(
    swarm_environment: Environment, swarm_client: docker.DockerClient, tmp_path: Path, fields: dict[str, Any]
) -> None:
    """Written twice, the second write changes nothing; with a config and a secret of its own."""
    kept = {name: tmp_path / name for name in ("c" * 64, "secret-" + "d" * 64)}
    for name, path in kept.items():
        path.write_text(name)
    targets = ("/etc/shop.conf", "/run/secrets/token")
    binds = [
        {"type": "bind", "source": str(path), "target": target, "read_only": True}
        for path, target in zip(kept.values(), targets, strict=True)
    ]
    project = swarm_environment.project
    service = {**fields, "volumes": [*(fields.get("volumes") or ()), *binds]}
    networks = {name: {"name": f"{project}_{name}"} for name in ("back", "front")}
    model: Mapping[str, Any] = {
        "name": project,
        "services": {"web": service},
        "networks": networks,
        "volumes": {"data": {"name": f"{project}_data", "labels": {"a": "b"}}},
    }
    clients = EngineClients()
    writer = SwarmWriter(clients.of(swarm_environment))
    try:
        ids = await writer.ask(lambda calls: make_shared(calls, project, model, ["web"]))
        assert ids == await writer.ask(lambda calls: make_shared(calls, project, model, ["web"]))
        sent = service_spec(project, model, read_definitions(model)["web"], ids=ids)
        wanted = service_spec(project, model, read_definitions(model)["web"])
        for _ in range(2):
            written = await writer.write(sent)
            live = swarm_client.api.inspect_service(written.service_id)["Spec"]
            names = await writer.ask(lambda calls: calls.network_names())
            assert differing_keys(wanted, live, names) == (), (normal_form(wanted, names), normal_form(live, names))
            assert spec_hash(wanted, names) == spec_hash(live, names) == written.spec_hash
    finally:
        await clients.close()
        for one in swarm_client.services.list(filters={"label": f"com.docker.stack.namespace={project}"}):
            one.remove()
