"""Describe a freeze: nobody may deploy to an environment."""

from dataclasses import dataclass
from datetime import datetime

from roas.models.actor import Actor


@dataclass(frozen=True, slots=True)
class Freeze:
    """Record which environment nobody may deploy to, who set that, since when, and why."""

    environment: str
    frozen_by: Actor
    reason: str
    since: datetime
