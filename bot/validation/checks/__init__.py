"""Every check of an environment: what the modules of this package define with `@check` runs by being there."""

from roas.validation.check import Check
from roas.validation.checks import compose, discord, engine, machine, secrets, services, swarm

THEMES = (compose, discord, engine, machine, secrets, services, swarm)
CHECKS = tuple(
    sorted(
        (found for theme in THEMES for found in vars(theme).values() if isinstance(found, Check)),
        key=lambda found: found.name,
    )
)
