"""What tells the kinds of tests apart: a unit test is logic in this process, and asks nothing that runs elsewhere."""

import os
import sys
from typing import Any

# Each may use what helps those before it, and nothing of those after it.
KINDS = ("unit", "integration", "e2e")
ENGINE_FIXTURES = {
    "private_daemon",
    "building_engine",
    "docker_host",
    "docker_client",
    "sample_image",
    "image_ids",
    "fresh_daemon",
}


def is_other_program(arguments: Any, executable: Any = None) -> bool:
    """Return whether a process is started of anything but this Python."""
    if executable is None:
        executable = arguments if isinstance(arguments, str | bytes | os.PathLike) else next(iter(arguments))
    return os.fsdecode(executable) != sys.executable
