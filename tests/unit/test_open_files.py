"""The bot may open as many files as its hosts take, whatever limit it is started with."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, resource
from roas import service

async def served(settings, stop):
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    return 0

service._serve = served
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {most}))
asyncio.run(service.serve(None))
"""


@pytest.mark.parametrize(("limit", "most", "allowed"), [(256, 4096, 4096), (4096, 4096, 4096), (512, 512, 512)])
def test_limit_is_raised_as_far_as_allowed(limit: int, most: int, allowed: int) -> None:
    program = PROGRAM.format(limit=limit, most=most)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.split() == [str(allowed), str(most)], ended.stderr
