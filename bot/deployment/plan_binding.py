"""Bind a plan to what it depends on besides its model and its images."""

import hashlib
from dataclasses import replace

from roas.models.plan import Plan


def bind_to_inputs(plan: Plan, inputs: str) -> Plan:
    """Return the plan with a digest that covers secrets, settings and policy too; `inputs` is a hash of these."""
    if not inputs:
        return plan
    return replace(plan, digest=hashlib.sha256(f"{plan.digest} {inputs}".encode()).hexdigest())
