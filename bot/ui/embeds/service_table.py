"""Write every service as a row of a text file, for a stack that has more of them than a message can show."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from roas.models.health import ServiceHealth, StackHealth
from roas.models.release import Release
from roas.ui.drawing import Attachment
from roas.ui.formatting import image
from roas.ui.icons import WORST_FIRST
from roas.ui.quantities import size
from roas.ui.translation import _, translate, word

TABLE = "services.txt"
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Environment(Protocol):
    """Hold the state of an environment's services."""

    @property
    def environment(self) -> str:
        """Return its name."""
        ...

    @property
    def health(self) -> StackHealth | None:
        """Return the verdicts, where they are known."""
        ...

    @property
    def release(self) -> Release | None:
        """Return the release it is on."""
        ...


def worst_first(services: Sequence[ServiceHealth]) -> list[ServiceHealth]:
    """Order services by what needs a look."""
    return sorted(services, key=lambda service: WORST_FIRST.index(service.verdict))


def draw_service_table(environments: Sequence[Environment]) -> Attachment:
    """Write the services of environments, one a row."""
    return Attachment(TABLE, "\n\n".join(_table(one) for one in environments) + "\n")


def running_version(health: ServiceHealth, release: Release | None) -> str:
    """Return the image as the release names it, where that is what runs; else what the container says of itself."""
    pinned = release.service(health.service) if release else None
    containers = health.containers
    if pinned is not None and (not containers or any(one.image_id == pinned.image.image_id for one in containers)):
        return image(pinned.image.reference)
    return image(containers[0].image_reference) if containers else ""


def started_at(health: ServiceHealth) -> datetime | None:
    """Return when the youngest container started: that is how long all of it has been up."""
    return max((one.started_at for one in health.containers if one.started_at is not None), default=None)


def restart_count(health: ServiceHealth) -> int:
    """Return how often the containers were restarted."""
    return sum(container.restart_count for container in health.containers)


def _table(environment: Environment) -> str:
    health = environment.health
    if health is None:
        return environment.environment
    titles = (_("service"), _("verdict"), _("version"), _("up"), "CPU", _("memory"), _("restarts"), _("reason"))
    rows = [titles, *(_row(one, environment.release, health.taken_at) for one in worst_first(health.services))]
    if any(one.nodes for one in health.services):  # they run on a Swarm
        nodes = [_("node"), *(" ".join(one.nodes) or "-" for one in worst_first(health.services))]
        rows = [(*row[:-1], node, row[-1]) for row, node in zip(rows, nodes, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heading = f"{environment.environment}, {health.taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return "\n".join([heading, *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)])


def _row(health: ServiceHealth, release: Release | None, taken_at: datetime) -> tuple[str, ...]:
    started = started_at(health)
    return (
        health.service,
        word(health.verdict),
        running_version(health, release) or "-",
        "-" if started is None else _uptime((taken_at - started).total_seconds()),
        "-" if health.cpu_percent is None else f"{health.cpu_percent:.1f} %",
        size(health.memory_bytes) or "-",
        str(restart_count(health)),
        " ".join(translate(health.reason).split()),
    )


def _uptime(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d{whole % DAY // HOUR:02}h"
