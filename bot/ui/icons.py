"""Define the icon and the colour of every state; the same everywhere."""

import discord

from roas.models.deployment import Deployment, Outcome, PhaseStatus, ServiceStep
from roas.models.health import Verdict
from roas.models.plan import ServiceAction

RUNNING = discord.Colour(0x5865F2)
GOOD = discord.Colour(0x2ECC71)
CAREFUL = discord.Colour(0xF1C40F)
BAD = discord.Colour(0xE74C3C)
QUIET = discord.Colour(0x95A5A6)

PHASES: dict[PhaseStatus, str] = {
    PhaseStatus.PENDING: "⬜",
    PhaseStatus.IN_PROGRESS: "🔄",
    PhaseStatus.SUCCESS: "✅",
    PhaseStatus.FAILED: "❌",
    PhaseStatus.CANCELLED: "🚫",
}

STEPS: dict[ServiceStep, str] = {
    ServiceStep.PENDING: "⬜",
    ServiceStep.PULLING: "⬇️",
    ServiceStep.PULLED: "📦",
    ServiceStep.BUILDING: "🔨",
    ServiceStep.BUILT: "📦",
    ServiceStep.CREATING: "🔄",
    ServiceStep.STARTING: "🔄",
    ServiceStep.WAITING: "⏳",
    ServiceStep.PAUSED: "⏸️",
    ServiceStep.HEALTHY: "🟢",
    ServiceStep.UNVERIFIED: "⚪",
    ServiceStep.COMPLETED: "🟢",
    ServiceStep.UNCHANGED: "▫️",
    ServiceStep.REMOVING: "🔄",
    ServiceStep.REMOVED: "➖",
    ServiceStep.RESTORING: "↩️",
    ServiceStep.RESTORED: "↩️",
    ServiceStep.FAILED: "🔴",
}

OUTCOMES: dict[Outcome, tuple[str, discord.Colour]] = {
    Outcome.SUCCEEDED: ("✅", GOOD),
    Outcome.ROLLED_BACK: ("↩️", CAREFUL),
    Outcome.CANCELLED: ("🚫", QUIET),
    Outcome.FAILED: ("🆘", BAD),
}
# It failed before it changed anything: what runs, runs on, and nobody has to hurry.
HARMLESS = ("❌", BAD)


def mark(deployment: Deployment) -> tuple[str, discord.Colour]:
    """Return the icon and the colour of a deployment that has ended."""
    outcome = deployment.outcome or Outcome.FAILED
    return HARMLESS if outcome is Outcome.FAILED and not deployment.touched else OUTCOMES[outcome]


VERDICTS: dict[Verdict, tuple[str, discord.Colour]] = {
    Verdict.HEALTHY: ("🟢", GOOD),
    Verdict.UNVERIFIED: ("⚪", QUIET),
    Verdict.DEGRADED: ("🟡", CAREFUL),
    Verdict.UNHEALTHY: ("🔴", BAD),
    Verdict.UNKNOWN: ("❔", QUIET),
}

# `unknown` is not the service's own fault.
WORST_FIRST = (Verdict.UNHEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.UNVERIFIED, Verdict.HEALTHY)

ACTIONS: dict[ServiceAction, str] = {
    ServiceAction.CREATE: "➕",
    ServiceAction.RECREATE: "🔄",
    ServiceAction.RESTART: "🔁",
    ServiceAction.START: "▶️",
    ServiceAction.ADJUST: "↕️",
    ServiceAction.RELOAD: "🔁",
    ServiceAction.REMOVE: "➖",
    ServiceAction.KEEP: "▫️",
}
