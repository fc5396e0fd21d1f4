"""How many servers a backend needs for a deployment of the service behind it."""

import pytest

from roas.stack.model.definitions import read_definitions
from roas.stack.model.x_deploy.proxy import servers_for


@pytest.mark.parametrize(
    ("update", "servers"),
    [
        ({}, 8),
        ({"parallelism": 1}, 5),
        ({"parallelism": 9}, 8),
        ({"parallelism": 1, "failure_action": "rollback"}, 5),
        ({"parallelism": 1, "failure_action": "pause"}, 8),
        ({"parallelism": 1, "failure_action": "continue"}, 8),
        ({"parallelism": 1, "max_failure_ratio": 0.5}, 8),
    ],
)
def test_old_one_of_what_failed_keeps_its_server(update: dict, servers: int) -> None:
    web = {"image": "web:1", "deploy": {"replicas": 4, "update_config": update}}
    assert servers_for(read_definitions({"services": {"web": web}})["web"]) == servers
