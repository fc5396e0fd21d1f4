"""An engine that leads no Swarm is told by what Docker says that it is: nobody makes a new one on top of one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.errors import NoQuorumError
from roas.stack.docker.sdk import EngineClient
from roas.stack.swarm.calls import SwarmCalls, no_manager


@pytest.mark.parametrize(
    ("state", "message", "hint", "waits"),
    [
        ("inactive", "is no manager of a Swarm", "docker swarm init", False),
        ("active/worker", "is no manager of a Swarm", "docker node promote", False),
        ("locked", "is locked", "docker swarm unlock", True),
        ("pending", "is not ready in its Swarm", "More than half of the managers", True),
        ("error", "is not ready in its Swarm", "More than half of the managers", True),
    ],
)
def test_each_state_has_its_remedy(state: str, message: str, hint: str, waits: bool) -> None:
    """A deployment waits for what comes back."""
    error = no_manager(state, "dev", "unix:///a")
    assert message in error.message
    assert hint in error.hint
    assert isinstance(error, NoQuorumError) is waits


class Engine:
    """Answer a ping with a header, or without one; then by all that it knows."""

    base_url, timeout, api_version = "http://a", 1, "1.44"

    def __init__(self, header: str | None, about: dict[str, Any]) -> None:
        self.headers = {} if header is None else {"Swarm": header}
        self.about = about

    def _raise_for_status(self, _answer: Any) -> None:
        """Let it pass."""

    def get(self, _url: str, **_options: Any) -> Any:
        return SimpleNamespace(ok=True, headers=self.headers, json=lambda: {"Swarm": self.about})


@pytest.mark.parametrize(
    ("header", "about", "state"),
    [
        ("active/worker", {}, "active/worker"),
        (None, {"LocalNodeState": "active", "ControlAvailable": True}, "active/manager"),
        (None, {"LocalNodeState": "active"}, "active/worker"),
        (None, {"LocalNodeState": "locked"}, "locked"),
        (None, {}, "inactive"),
    ],
)
def test_state_is_read_of_older_engines_too(header: str | None, about: dict[str, Any], state: str) -> None:
    client = cast("EngineClient", Engine(header, about))
    assert SwarmCalls(client).state() == state
