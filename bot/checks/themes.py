"""Every check of an environment: what the modules of the themes define with `@check` runs by being there."""

from roas.checks import compose, discord, engine, machine, secrets, services, swarm
from roas.checks.check import Check

THEMES = (compose, discord, engine, machine, secrets, services, swarm)
CHECKS = tuple(
    sorted(
        (found for theme in THEMES for found in vars(theme).values() if isinstance(found, Check)),
        key=lambda found: found.name,
    )
)
