"""A service of which each deployment has another one than that before: so there is always one to create."""

from pathlib import Path
from typing import Any

import yaml

from roas.models.release import Release
from testbed.sample import CHECK

# What a point calls it, whichever of the two it is.
STEM = "fresh"
NAMES = (f"{STEM}-1", f"{STEM}-2")
FILE = "docker-compose.yml"
SERVICE = {"image": "store:${VERSION}", "init": True, "healthcheck": CHECK}


def renew(folder: Path, release: Release | None) -> None:
    """Describe in a stack's file the one that its release does not have, and not the other."""
    here = {service.name for service in release.services} if release is not None else set()
    stack: dict[str, Any] = yaml.safe_load((folder / FILE).read_text())
    kept = {name: service for name, service in stack["services"].items() if name not in NAMES}
    stack["services"] = kept | {next(name for name in NAMES if name not in here): SERVICE}
    written = folder / f".{FILE}"
    written.write_text(yaml.safe_dump(stack, sort_keys=False))
    written.replace(folder / FILE)
