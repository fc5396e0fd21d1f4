"""Read the restart policy that Compose gives a service's containers."""

from collections.abc import Mapping
from typing import Any

CONDITIONS = {"any": "always", "none": "no", "": "no"}


def restart_policy(service: Mapping[str, Any]) -> tuple[str, int]:
    """Return the policy's name and its most retries; as for Compose, what `deploy` says outdoes `restart`."""
    name, _, retries = str(service.get("restart") or "").partition(":")
    policy = (service.get("deploy") or {}).get("restart_policy")
    if policy is not None:
        name, retries = str(policy.get("condition") or ""), str(policy.get("max_attempts") or "")
    return CONDITIONS.get(name, name), int(retries) if retries.isdigit() else 0
