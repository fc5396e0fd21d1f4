"""Let the deployment of the scene pause: its version is well but for the first container of it, which never is.

That one is not healthy, and, where it is to, ends again and again.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.engine import manual_environment
from testbed.proxy_images import web_image
from tools.campaigns.requests.scene import ENVIRONMENT, NAME, ROOT, Scene

ROAS = [sys.executable, "-m", "roas"]
FLAKY = "flaky"
MARK = "failed-first"
PAUSES = {
    "replicas: 2": "replicas: 2\n      update_config: {parallelism: 1, failure_action: pause}",
    "      interval: 5s": "      interval: 1s",
    "start_period: 30s": "start_period: 2s",
}
DECIDED = 60
# How long the first container lives each time.
LIFE_SECONDS = 2


@contextmanager
def pausing(found: Scene, *, loops: bool = False) -> Iterator[None]:
    """Write into the compose file that a failed replica pauses, for the length of the block."""
    flaws = {"WARMING": "3600", "ONLY_FIRST": f"/orders/{MARK}"}
    if loops:
        flaws["CRASHES_AFTER"] = str(LIFE_SECONDS)
    web_image(found.client, f"shop/web:{FLAKY}", version=FLAKY, **flaws)
    (found.orders.parent / MARK).unlink(missing_ok=True)
    page = found.folder / "stack" / "compose.yaml"
    usual = written = page.read_text()
    for before, after in PAUSES.items():
        written = written.replace(before, after)
    page.write_text(written)
    try:
        yield
    finally:
        page.write_text(usual)


def decide(found: Scene, *, goes_on: bool) -> None:
    """Decide as a person does on the command line, whichever process carries the deployment out."""
    how = [] if goes_on else ["--roll-back"]
    command = [*ROAS, "resume", ENVIRONMENT, *how]
    subprocess.run(command, env=typed_environment(found), cwd=ROOT, check=True, timeout=DECIDED)


def typed_environment(found: Scene) -> dict[str, str]:
    """Return the environment of a command of ours for the scene."""
    settings = {
        "STACK_DIR": found.folder / "stack",
        "STATE_DIR": found.folder / "state",
        "COMPOSE_PROJECT_NAME": NAME,
        f"ENVIRONMENTS__{ENVIRONMENT.upper()}__OBSERVATION_SECONDS": "0.5",
    }
    return os.environ | manual_environment(found.docker_host) | {key: str(value) for key, value in settings.items()}
