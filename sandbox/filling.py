"""Fill in selects and forms as a Discord client lets a person do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.errors import ControlError

STRING_SELECT = 3


def chosen(select: Mapping[str, Any], values: list[str]) -> list[str]:
    """Check the choice in a select the way the client does."""
    if select["type"] != STRING_SELECT:
        raise ControlError("the sandbox offers choices in string selects only")
    offered = [option["value"] for option in select["options"]]
    lowest, highest = select.get("min_values", 1), select.get("max_values", 1)
    if not lowest <= len(values) <= highest or not set(values) <= set(offered):
        raise ControlError(f"choose {lowest} to {highest} of {offered}, not {values}")
    return values


def filled_in(components: list[dict[str, Any]], values: dict[str, str]) -> list[dict[str, Any]]:
    """Return a form's components as the client submits them."""
    filled = []
    for component in components:
        entry: dict[str, Any] = {"type": component["type"], "id": component.get("id")}
        if "components" in component:
            entry["components"] = filled_in(component["components"], values)
        elif "component" in component:
            entry["component"] = filled_in([component["component"]], values)[0]
        elif "custom_id" in component:
            custom_id = component["custom_id"]
            entry |= {"custom_id": custom_id, "value": values.get(custom_id, component.get("value") or "")}
        filled.append(entry)
    return filled
