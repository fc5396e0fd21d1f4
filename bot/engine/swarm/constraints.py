"""Tell whether a node satisfies a placement constraint, as Swarm's scheduler reads it."""

import re

from roas.models.swarm import SwarmNode

CONSTRAINT = re.compile(r"\s*(?P<key>[\w.\-/]+)\s*(?P<operator>==|!=)\s*(?P<value>.*?)\s*")
KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)
NODE_LABELS, ENGINE_LABELS = "node.labels.", "engine.labels."


def satisfies(node: SwarmNode, constraint: str) -> bool:
    """Return whether a node satisfies a constraint; one that cannot be judged from here counts as satisfied.

    Values are compared without regard to case; a label that is missing is an empty one.
    """
    found = CONSTRAINT.fullmatch(constraint)
    if found is None:
        return True
    actual = _value(node, found["key"])
    if actual is None:
        return True
    return (actual.casefold() == found["value"].casefold()) == (found["operator"] == "==")


def actual_value(node: SwarmNode, constraint: str) -> str:
    """Return what a node has of what a constraint asks for; empty where that is nothing, or not known."""
    found = CONSTRAINT.fullmatch(constraint)
    return "" if found is None else _value(node, found["key"]) or ""


def is_readable(constraint: str) -> bool:
    """Return whether Swarm can read a constraint; it refuses a service that has another one."""
    for operator in ("==", "!="):  # as Swarm itself looks for them
        key, found, value = constraint.partition(operator)
        if found:
            return KEY.fullmatch(key.strip()) is not None and VALUE.fullmatch(value.strip()) is not None
    return False


def label_to_set(constraint: str) -> str:
    """Return `NAME=VALUE` of the node label that would satisfy a constraint; empty where it asks for no such label."""
    found = CONSTRAINT.fullmatch(constraint)
    if found is None or found["operator"] != "==" or not found["key"].lower().startswith(NODE_LABELS):
        return ""
    return f"{found['key'][len(NODE_LABELS) :]}={found['value']}"


def _value(node: SwarmNode, key: str) -> str | None:
    known = {
        "node.id": node.id,
        "node.hostname": node.hostname,
        "node.role": "manager" if node.is_manager else "worker",
        "node.platform.os": node.system,
        "node.platform.arch": node.architecture,
    }
    lowered = key.lower()
    if lowered.startswith(NODE_LABELS):
        return node.labels.get(key[len(NODE_LABELS) :], "")
    if lowered.startswith(ENGINE_LABELS):
        return node.engine_labels.get(key[len(ENGINE_LABELS) :], "")
    return known.get(lowered)
