"""A service of a resolved model becomes a spec of Swarm's API: nothing is left to Swarm's defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.writing.container_spec import health_check
from roas.stack.swarm.writing.service_spec import SwarmIds, network_spec, service_spec

DIGEST = "shop@sha256:" + "a" * 64


def spec(ids: SwarmIds | None = None, shared: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    service = {"image": f"shop:v1@sha256:{'a' * 64}", "networks": {"default": None}, **fields}
    networks = {"default": {"name": "stack_default"}}
    model = {"name": "stack", "services": {"web": service}, "networks": networks, **(shared or {})}
    return service_spec("stack", model, read_definitions(model)["web"], ids=ids or SwarmIds())


def test_every_parameter_of_an_update_is_set() -> None:
    """Swarm's own are: one at a time, stop-first, pause, 5 s."""
    found = spec()
    assert found["UpdateConfig"] == {
        "Parallelism": 1,
        "Delay": 0,
        "FailureAction": "rollback",
        "Monitor": 5_000_000_000,
        "MaxFailureRatio": 0.0,
        "Order": "stop-first",
    }
    assert found["RollbackConfig"] == {**found["UpdateConfig"], "FailureAction": "pause"}


def test_update_config_is_taken_as_it_is_written() -> None:
    """Durations become nanoseconds."""
    update = {"parallelism": 2, "delay": "10s", "monitor": "1m30s", "max_failure_ratio": 0.3, "order": "start-first"}
    found = spec(deploy={"update_config": {**update, "failure_action": "pause"}, "replicas": 4})
    assert found["UpdateConfig"] == {
        "Parallelism": 2,
        "Delay": 10_000_000_000,
        "FailureAction": "pause",
        "Monitor": 90_000_000_000,
        "MaxFailureRatio": 0.3,
        "Order": "start-first",
    }
    assert found["Mode"] == {"Replicated": {"Replicas": 4}}


def test_socket_of_the_engine_is_a_mount() -> None:
    """It is no file that becomes a config."""
    socket = {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"}
    container = spec(volumes=[socket])["TaskTemplate"]["ContainerSpec"]
    assert container["Mounts"] == [{"Type": "bind", "Source": socket["source"], "Target": socket["target"]}]
    assert "Configs" not in container


def test_docker_stack_knows_the_result() -> None:
    """By its label, its names, and the image that it shows."""
    found = spec(deploy={"labels": {"team": "a"}}, labels={"of": "the container"})
    assert found["Name"] == "stack_web"
    assert found["Labels"] == {
        "com.docker.stack.namespace": "stack",
        "com.docker.stack.image": "shop:v1",
        "io.roas.service": "web",
        "team": "a",
    }
    assert found["TaskTemplate"]["ContainerSpec"]["Labels"] == {
        "com.docker.stack.namespace": "stack",
        "io.roas.service": "web",
        "of": "the container",
    }
    assert found["TaskTemplate"]["ContainerSpec"]["Image"] == f"shop:v1@sha256:{'a' * 64}"


def test_other_services_find_it_by_its_name() -> None:
    """In each of its networks; an id takes the place of a network's name."""
    networks = spec(SwarmIds(networks={"stack_default": "n1"}))["TaskTemplate"]["Networks"]
    assert networks == [{"Target": "n1", "Aliases": ["web"]}]


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        ({}, "any"),
        ({"restart": "no"}, "none"),
        ({"restart": "on-failure:3"}, "on-failure"),
        ({"deploy": {"restart_policy": {"delay": "1s"}}}, "any"),
        ({"restart": "no", "deploy": {"restart_policy": {"delay": "1s"}}}, "any"),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, "none"),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, "on-failure"),
    ],
)
def test_task_is_restarted_unless_somebody_says_no(fields: dict[str, Any], condition: str) -> None:
    """One that never is does not move from a node that is drained or lost, either."""
    assert spec(**fields)["TaskTemplate"]["RestartPolicy"]["Condition"] == condition


def test_one_shot_is_a_job() -> None:
    """With its own round, and never an update: a job has none."""
    found = spec(**{"x-deploy": {"one_shot": True, "round": "r7"}})
    assert found["Mode"] == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    assert found["TaskTemplate"]["RestartPolicy"]["Condition"] == "none"
    assert found["TaskTemplate"]["ContainerSpec"]["Labels"]["io.roas.round"] == "r7"
    assert "UpdateConfig" not in found


def test_kept_files_become_configs_and_secrets(tmp_path: Path) -> None:
    """By the name that their content gives them; a secret's name says nothing of it but that."""
    content, secret = "c" * 64, "secret-" + "d" * 64
    binds = [
        {"type": "bind", "source": f"/state/contents/{content}", "target": "/etc/shop.conf", "read_only": True},
        {"type": "bind", "source": f"/state/contents/{secret}", "target": "/run/secrets/token", "read_only": True},
    ]
    ids = SwarmIds(configs={"stack_shop.conf-cccccccccccc": "c1"}, secrets={"stack_token-dddddddddddd": "s1"})
    container = spec(ids, volumes=binds)["TaskTemplate"]["ContainerSpec"]
    (config,), (taken,) = container["Configs"], container["Secrets"]
    assert (config["ConfigName"], config["ConfigID"]) == ("stack_shop.conf-cccccccccccc", "c1")
    assert (taken["SecretName"], taken["SecretID"]) == ("stack_token-dddddddddddd", "s1")
    assert (config["File"]["Name"], taken["File"]["Name"]) == ("/etc/shop.conf", "token")
    assert "Mounts" not in container


def test_environment_is_sorted_and_nothing_is_left_out() -> None:
    """A variable without a value stays one."""
    container = spec(environment={"B": "2", "A": None}, command=["serve"], entrypoint=["/init"], user=1000)
    assert container["TaskTemplate"]["ContainerSpec"]["Env"] == ["A", "B=2"]
    assert container["TaskTemplate"]["ContainerSpec"]["Command"] == ["/init"]
    assert container["TaskTemplate"]["ContainerSpec"]["Args"] == ["serve"]
    assert container["TaskTemplate"]["ContainerSpec"]["User"] == "1000"


def test_resources_ports_and_placement() -> None:
    """Limits in Swarm's units; a port has its own mode."""
    deploy = {
        "endpoint_mode": "dnsrr",
        "resources": {"limits": {"cpus": 0.5, "memory": "52428800", "pids": 64}},
        "placement": {"constraints": ["node.role == worker"], "preferences": [{"spread": "node.labels.zone"}]},
    }
    found = spec(deploy=deploy, ports=[{"target": 80, "published": "8080", "mode": "host", "protocol": "tcp"}])
    assert found["TaskTemplate"]["Resources"]["Limits"] == {"NanoCPUs": 5 * 10**8, "MemoryBytes": 52428800, "Pids": 64}
    assert found["TaskTemplate"]["Placement"]["Constraints"] == ["node.role == worker"]
    assert found["EndpointSpec"] == {
        "Mode": "dnsrr",
        "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}],
    }


def test_health_check_has_its_start_interval() -> None:
    """The SDK's own type lacks it."""
    check = {"test": ["CMD", "true"], "interval": "5s", "start_period": "2s", "start_interval": "100ms", "retries": 3}
    assert health_check(check) == {
        "Test": ["CMD", "true"],
        "Interval": 5_000_000_000,
        "StartPeriod": 2_000_000_000,
        "StartInterval": 100_000_000,
        "Retries": 3,
    }
    assert health_check({"disable": True}) == {"Test": ["NONE"]}
    assert health_check(None) is None


def test_network_is_an_overlay_of_the_stack() -> None:
    """With the name that Compose gave it."""
    model = {"networks": {"back": {"name": "stack_back", "internal": True}}}
    assert network_spec("stack", "back", model) == {
        "Name": "stack_back",
        "Driver": "overlay",
        "Scope": "swarm",
        "Internal": True,
        "Labels": {"com.docker.stack.namespace": "stack"},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "any"),
        ({"restart": "no"}, "none"),
        ({"restart": "unless-stopped"}, "any"),
        ({"restart": "on-failure:3"}, "on-failure"),
        ({"deploy": {"restart_policy": {"delay": "1s"}}}, "any"),  # Compose on one machine takes it for `no`
        ({"deploy": {"restart_policy": {"condition": "none"}}}, "none"),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, "on-failure"),
    ],
)
def test_task_is_started_again_as_it_is_written(fields: dict[str, Any], expected: str) -> None:
    assert spec(**fields)["TaskTemplate"]["RestartPolicy"]["Condition"] == expected
