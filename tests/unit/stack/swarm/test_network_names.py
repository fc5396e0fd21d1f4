"""What a manager shows of networks without a leader is not all of them, and it calls that an answer."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.sdk import EngineClient
from roas.stack.swarm.calls import SwarmCalls

SERVICE = {"Spec": {"TaskTemplate": {"Networks": [{"Target": "n1"}]}}}


class Manager:
    """Show the overlay once there is a leader, which is there from some request on."""

    base_url, api_version, timeout = "http://engine", "1.44", 5

    def __init__(self, leads_from: int) -> None:
        self.leads_from, self.asked = leads_from, 0

    def _raise_for_status(self, response: Any) -> None:
        EngineClient._raise_for_status(cast("EngineClient", self), response)

    def get(self, url: str, **_options: Any) -> Any:
        self.asked += 1
        leads = self.asked >= self.leads_from
        if url.endswith("/networks"):
            return answer(200, [{"Id": "n1", "Name": "shop_default"}] if leads else [])
        return answer(200, []) if leads else answer(503, {"message": "The swarm does not have a leader."})


def answer(status: int, body: Any) -> Any:
    content = json.dumps(body).encode()
    return SimpleNamespace(
        ok=status < 400, status_code=status, reason="", content=content, text=content.decode(), json=lambda: body
    )


def calls(manager: Manager) -> SwarmCalls:
    return SwarmCalls(cast("EngineClient", manager))


@pytest.mark.parametrize(("leads_from", "asked"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("needed", [{"services": [SERVICE]}, {"names": ["shop_default"]}])
def test_missing_network_is_asked_for_again(needed: dict[str, Any], leads_from: int, asked: int) -> None:
    manager = Manager(leads_from)
    assert calls(manager).network_names(**needed) == {"n1": "shop_default"}
    assert manager.asked == asked


def test_answer_without_a_leader_is_none() -> None:
    with pytest.raises(ApiError):
        calls(Manager(9)).network_names([SERVICE])


def test_network_that_no_leader_knows_is_left_out() -> None:
    """That of the host is in no Swarm's list."""
    host = {"Spec": {"TaskTemplate": {"Networks": [{"Target": "host"}]}}}
    assert calls(Manager(1)).network_names([host]) == {"n1": "shop_default"}
