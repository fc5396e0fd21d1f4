"""What Swarm has no word for is refused at once, all of it, each with what to do instead."""

from pathlib import Path
from typing import Any

import pytest

from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.stack.model.service_keys import SERVICE_KEYS
from roas.stack.swarm.unsupported import refuse_unsupported

ENVIRONMENT = Environment("prod", "shop", Path("/srv/shop"), ())
CONTENTS = Path("/state/contents")


def refused(*allowed: str, shared: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return why a service is refused; empty where it is not."""
    model = {"name": "shop", "services": {"web": {"image": "web:1", **fields}}, **(shared or {})}
    try:
        refuse_unsupported(model, ENVIRONMENT, contents=CONTENTS, allows=lambda entry: entry in allowed)
    except ComposeFileError as error:
        return error.message
    return ""


def test_all_of_it_is_named_at_once() -> None:
    """One look at the plan is enough."""
    ports = [{"target": 80, "published": "8080-8090"}, {"target": 81, "published": "81", "host_ip": "127.0.0.1"}]
    said = refused(container_name="web", privileged=True, network_mode="host", ports=ports, links=["a"])
    assert "\n  - web has `" in said
    for what in ("container_name", "privileged", "network_mode", "links", "ports: 8080-8090", "ports: 127.0.0.1:81"):
        assert what in said, what


@pytest.mark.parametrize(
    "key", [*(key for key, known in SERVICE_KEYS.items() if known.swarm is None), "made_up_tomorrow"]
)
def test_each_key_that_a_swarm_does_not_know_is_refused(key: str) -> None:
    """And nothing where it says nothing."""
    assert f"web has `{key}`" in refused(**{key: ["x"]})
    assert not refused(**{key: None})


def test_a_build_needs_a_registry() -> None:
    """With an image, that is what the nodes pull."""
    assert "web has `build`" in refused(image=None, build={"context": "."})
    assert not refused(build={"context": "."})


def test_binds_of_the_host_are_refused() -> None:
    """What a release keeps by content is none of them."""
    bind = {"type": "bind", "target": "/data"}
    assert "binds /srv/data of the host" in refused(volumes=[{**bind, "source": "/srv/data"}])
    assert not refused(volumes=[{**bind, "source": str(CONTENTS / "abc")}])


def test_what_every_node_has_is_bound_where_that_is_allowed_by_name() -> None:
    bind = [{"type": "bind", "target": "/data", "source": "/srv/data"}]
    assert "allow it by `node_bind:/srv/data`" in refused(volumes=bind)
    assert not refused("node_bind:/srv/data", volumes=bind)


def test_socket_of_the_engine_is_bound() -> None:
    """Each node has one at the same place; who may have it is for the policy to say."""
    assert not refused(volumes=[{"type": "bind", "target": "/run/docker.sock", "source": "/var/run/docker.sock"}])


VOLUME = [{"type": "volume", "source": "data", "target": "/data"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"deploy": {"placement": {"constraints": ["node.hostname == db1"]}}},
        {"deploy": {"placement": {"constraints": ["node.labels.disk==ssd"]}}},
        {"deploy": {"mode": "global"}},
    ],
)
def test_pinned_volume_is_taken(fields: dict[str, Any]) -> None:
    """Its task comes back to where the data is."""
    assert not refused(volumes=VOLUME, **fields)


def test_unpinned_local_volume_is_refused_unless_allowed() -> None:
    """The task moves, and its data does not."""
    assert "the volume data stays on one" in refused(volumes=VOLUME)
    assert "the volume data stays on one" in refused(
        volumes=VOLUME, deploy={"placement": {"constraints": ["node.role == worker"]}}
    )
    assert not refused("unpinned_volume:data", volumes=VOLUME)
    for kind, shared in (("nfs4", True), ("cifs", True), ("tmpfs", False), ("none", False)):
        options = {"volumes": {"data": {"driver_opts": {"type": kind, "device": "//there/data"}}}}
        assert bool(refused(volumes=VOLUME, shared=options)) is not shared, kind


def test_ports_by_ingress_need_virtual_ips() -> None:
    """Swarm refuses them in the middle of a deployment."""
    port = {"target": 80, "published": "80"}
    assert "give the port `mode: host`" in refused(deploy={"endpoint_mode": "dnsrr"}, ports=[port])
    assert not refused(deploy={"endpoint_mode": "dnsrr"}, ports=[{**port, "mode": "host"}])
    assert not refused(ports=[port])


def test_networks_are_overlays() -> None:
    """A bridge is one machine's."""
    assert "`driver: bridge`" in refused(shared={"networks": {"back": {"driver": "bridge"}}})
    assert not refused(shared={"networks": {"back": {"driver": "overlay"}, "front": None}})


def test_restart_of_dependents_is_refused() -> None:
    """Nothing of it is ignored in silence."""
    services = {
        "db": {"image": "db:1"},
        "web": {"image": "web:1", "depends_on": {"db": {"condition": "service_started", "restart": True}}},
    }
    assert "restart: true`" in refused(shared={"services": services})


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        ({"mode": "replicated-job"}, "`deploy.mode: replicated-job`: use replicated | global"),
        ({"restart_policy": {"condition": "nope"}}, "restart_policy.condition: nope"),
        ({"endpoint_mode": "weird"}, "deploy.endpoint_mode: weird"),
    ],
)
def test_values_that_a_swarm_refuses_are_named_in_the_plan(deploy: dict[str, Any], said: str) -> None:
    """The engine would refuse them in the middle of the deployment, or take another value in silence."""
    assert said in refused(deploy=deploy)


def test_values_that_a_swarm_takes_are_not_refused() -> None:
    """With and without spaces."""
    constraints = ["node.role==manager", "node.labels.a.b != x y", "node.platform.arch == x86_64"]
    for condition in ("none", "on-failure", "any"):
        deploy = {"placement": {"constraints": constraints}, "restart_policy": {"condition": condition}}
        assert not refused(deploy={**deploy, "endpoint_mode": "dnsrr"})


def test_name_that_is_too_long_is_named_in_the_plan() -> None:
    """Of 63 characters, the project's name and the underscore are a part."""
    fields = {"image": "web:1"}
    assert not refused(shared={"services": {"w" * 58: fields}})
    assert "Swarm takes 63 characters" in refused(shared={"services": {"w" * 59: fields}})


def test_number_of_tasks_means_nothing_on_every_node() -> None:
    assert "web has `deploy.replicas: 3`: remove it, or `mode: global`" in refused(
        deploy={"mode": "global", "replicas": 3}
    )
    assert not refused(deploy={"mode": "global"})
    assert not refused(deploy={"replicas": 3})
