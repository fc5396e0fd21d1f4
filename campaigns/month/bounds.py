"""Name the bound of everything that a month leaves, and say what is beyond it."""

from collections.abc import Iterator, Sequence

from campaigns.month.living import RELEASES_KEPT, Busyness, Footprint
from roas.maintenance import RESOLVED_KEPT
from roas.state.backups import KEPT
from roas.state.history import DEPLOYMENTS_KEPT, FEWEST_CHANGES, HEARTBEATS_KEPT

MEMORY_GROWTH_BYTES = 32 << 20
OPEN_FILES_GROWTH = 5
# The journal with -wal and -shm, its copies, and lock files of the living.
FILES = 3 + KEPT + 2
DISK_BYTES = 200 << 20


def row_bounds(busyness: Busyness) -> dict[str, int]:
    """Return the most rows that each table may have."""
    return {
        "changes": max(busyness.bounds.rows, FEWEST_CHANGES),
        "deployments": DEPLOYMENTS_KEPT,
        "alerts": RESOLVED_KEPT,
        "heartbeats": HEARTBEATS_KEPT,
        "releases kept": RELEASES_KEPT,
        "locks": 1,
        "owners": 1,
    }


def breaches(footprints: Sequence[Footprint], rows: dict[str, int], busyness: Busyness) -> Iterator[str]:
    """Yield what is beyond its bound; growth counts from after the first tenth of the month."""
    for table, most in row_bounds(busyness).items():
        if rows[table] > most:
            yield f"{table}: {rows[table]} rows, and at most {most} are kept"
    settled, last = footprints[len(footprints) // 10], footprints[-1]
    for name, grown, most in (
        ("memory", last.memory_bytes - settled.memory_bytes, MEMORY_GROWTH_BYTES),
        ("open files", last.open_files - settled.open_files, OPEN_FILES_GROWTH),
        ("files", last.files, FILES),
        ("disk", last.disk_bytes, DISK_BYTES),
    ):
        if grown > most:
            yield f"{name}: {grown}, and at most {most} is allowed"
