"""What tells the kinds of tests apart: a unit test is logic in this process, and asks nothing that runs elsewhere."""

import os
import sys
from typing import Any

# Each may use what helps those before it, and nothing of those after it.
KINDS = ("unit", "integration", "e2e")
# Who asks for one of these uses an engine, and so does each test of these folders, which start their own.
ENGINE_FIXTURES = {
    "private_daemon",
    "building_engine",
    "docker_host",
    "docker_client",
    "sample_image",
    "image_ids",
    "fresh_daemon",
}
ENGINE_FOLDERS = ("tests/e2e/campaigns/",)


def is_other_program(arguments: Any, executable: Any = None) -> bool:
    """Return whether a process is started of anything but this Python."""
    if executable is None:
        executable = arguments if isinstance(arguments, str | bytes | os.PathLike) else next(iter(arguments))
    return os.fsdecode(executable) != sys.executable
