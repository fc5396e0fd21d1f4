"""What `docker stack deploy` made is read back as a model whose specs are the same, or is refused."""

from pathlib import Path
from typing import Any

import pytest

from roas.errors import InvalidRequestError
from roas.models.environment import Environment
from roas.stack.docker.labels import STACK
from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.normal_form import normal_form
from roas.stack.swarm.swarm_adoption import adopt_stack
from roas.stack.swarm.tasks.tasks import StackReading
from roas.stack.swarm.writing.service_spec import service_spec

DEV = Environment("dev", "shop", Path("/stack"), ())
OWN = {STACK: "shop"}
SECOND = 10**9


def deployed(**changes: Any) -> dict[str, Any]:
    """Return a service as a manager shows it after `docker stack deploy`, with all that Docker's CLI adds."""
    container = {
        "Image": "registry:5000/shop:v1@sha256:" + "a" * 64,
        "Labels": OWN | {"mine": "1"},
        "Env": ["MODE=fast", "A=1"],
        "Args": ["serve", "--now"],
        "Hosts": ["10.0.0.1 db"],
        "StopGracePeriod": 3 * SECOND,
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": SECOND, "Retries": 2},
        "Mounts": [{"Type": "volume", "Source": "shop_data", "Target": "/data", "VolumeOptions": {"Labels": OWN}}],
        "Secrets": [{"File": {"Name": "password", "Mode": 292}, "SecretID": "x1", "SecretName": "shop_password"}],
        "Configs": [{"File": {"Name": "/c", "Mode": 292}, "ConfigID": "x2", "ConfigName": "shop_c"}],
        "Isolation": "default",
        **changes.pop("container", {}),
    }
    template = {
        "ContainerSpec": container,
        "Resources": {"Limits": {"NanoCPUs": SECOND // 2, "MemoryBytes": 1 << 26}},
        "RestartPolicy": {"Condition": "on-failure", "Delay": SECOND, "MaxAttempts": 3},
        "Placement": {
            "Constraints": ["node.role == manager"],
            "Platforms": [{"Architecture": "amd64", "OS": "linux"}],
        },
        "Networks": [{"Target": "net1", "Aliases": ["web"]}],
        "ForceUpdate": 0,
        "Runtime": "container",
        **changes.pop("template", {}),
    }
    spec = {
        "Name": "shop_web",
        "Labels": OWN | {"com.docker.stack.image": "registry:5000/shop:v1", "team": "a"},
        "TaskTemplate": template,
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {"Parallelism": 2, "FailureAction": "pause", "Monitor": SECOND, "Order": "start-first"},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}],
        },
    }
    return {"ID": "s1", "Spec": spec, **changes}


def look(**changes: Any) -> StackReading:
    return StackReading((deployed(**changes),), (), {"net1": "shop_default"})


def test_model_read_back_gives_the_same_spec() -> None:
    adopted = adopt_stack(DEV, look())
    assert adopted is not None
    made = service_spec("shop", adopted.model, read_definitions(adopted.model)["web"])
    assert normal_form(made, {}) == normal_form(deployed()["Spec"], {"net1": "shop_default"})
    web = adopted.model["services"]["web"]
    assert web["deploy"]["labels"] == {"team": "a"}
    assert (web["environment"], web["command"]) == ({"MODE": "fast", "A": "1"}, ["serve", "--now"])
    assert adopted.model["volumes"] == {"data": {"name": "shop_data"}}
    assert adopted.references == {"web": "registry:5000/shop:v1"}


def test_updates_of_the_files_are_not_those_of_what_runs() -> None:
    """What waits for what comes of the files: a Swarm knows nothing of it."""
    file = {"deploy": {"update_config": {"parallelism": 9}}, "x-deploy": {"depends_on": {"web": {"kind": "soft"}}}}
    adopted = adopt_stack(DEV, look(), {"services": {"web": file}})
    assert adopted is not None
    web = adopted.model["services"]["web"]
    assert web["deploy"]["update_config"]["parallelism"] == 2
    assert web["x-deploy"]["depends_on"] == {"web": {"kind": "soft"}}


def test_files_of_others_are_external_and_read_back_in_any_order() -> None:
    """Those that are the stack's own are named as `docker stack deploy` names them."""
    theirs = {"File": {"Name": "/etc/a", "UID": "7", "GID": "0", "Mode": 256}, "SecretID": "x3", "SecretName": "theirs"}
    own = deployed()["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    config = {"File": {"Name": "site", "UID": "0", "GID": "0", "Mode": 292}, "ConfigID": "x4", "ConfigName": "site"}
    there = {"Secrets": [theirs, *own], "Configs": [config]}
    adopted = adopt_stack(DEV, look(container=there))
    assert adopted is not None
    made = service_spec("shop", adopted.model, read_definitions(adopted.model)["web"])
    assert normal_form(made, {}) == normal_form(deployed(container=there)["Spec"], {"net1": "shop_default"})
    assert adopted.model["secrets"] == {"theirs": {"name": "theirs", "external": True}}
    assert adopted.model["configs"] == {"site": {"name": "site", "external": True}}


def test_image_that_was_put_right_as_told_is_adopted() -> None:
    """`docker service update --image` gives it a digest, and leaves the label that names the image before."""
    now = f"registry:5000/shop:v2@sha256:{'1' * 64}"
    adopted = adopt_stack(DEV, look(container={"Image": now}))
    assert adopted is not None
    assert adopted.references == {"web": "registry:5000/shop:v2"}


BIND = {"Type": "bind", "Source": "/srv", "Target": "/srv"}


def test_what_nodes_have_is_bound_again() -> None:
    adopted = adopt_stack(DEV, look(container={"Mounts": [BIND]}))
    assert adopted is not None
    bound = {"type": "bind", "source": "/srv", "target": "/srv", "read_only": False}
    assert adopted.model["services"]["web"]["volumes"] == [bound]


def test_nothing_is_adopted_of_no_stack() -> None:
    assert adopt_stack(DEV, StackReading()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"container": {"Image": "app:hand"}}, "web runs app:hand without a digest"),
        ({"container": {"Privileges": {"NoNewPrivileges": True}}}, "cannot say: ContainerSpec.Privileges"),
        ({"container": {"Mounts": [{**BIND, "BindOptions": {"Propagation": "rshared"}}]}}, "ContainerSpec.Mounts"),
        ({"UpdateStatus": {"State": "paused"}}, "an update of web is not over"),
    ],
)
def test_what_cannot_be_brought_back_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match="was not deployed by this bot") as refused:
        adopt_stack(DEV, look(**changes))
    assert words in str(refused.value)
