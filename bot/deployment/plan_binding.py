"""Bind a plan to what it depends on besides its model and its images."""

import hashlib
from dataclasses import replace

from roas.engine.interface import ResolvedStack
from roas.models.plan import Plan


def bind_to_inputs(plan: Plan, stack: ResolvedStack) -> Plan:
    """Return the plan with a digest that covers secrets, settings and policy too."""
    if not stack.inputs:
        return plan
    return replace(plan, digest=hashlib.sha256(f"{plan.digest} {stack.inputs}".encode()).hexdigest())
