"""Rules of the house that no linter knows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "https://github.com/roas-bot/roas-bot"
SOURCES = sorted(path for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py"))


def test_nothing_sleeps_to_wait_for_something():
    sleeping = [
        f"{path}:{n}" for path in SOURCES for n, line in enumerate(path.read_text().split("\n"), 1) if "sleep(" in line
    ]
    assert sleeping == []


def test_every_task_has_an_owner():
    dropped = re.compile(r"^\s*(asyncio\.)?(create_task|ensure_future)\(")
    found = [
        f"{path}:{n}"
        for path in SOURCES
        for n, line in enumerate(path.read_text().split("\n"), 1)
        if dropped.match(line)
    ]
    assert found == []


def test_durations_are_monotonic_and_timestamps_aware():
    # The wall clock is for what bears the wall clock's time; a comment on the line says so.
    naive = re.compile(r"time\.time\(\)(?!.*#)|utcnow\(|datetime\.now\(\)(?!\.astimezone)")
    found = [
        f"{path}:{n}"
        for path in SOURCES
        for n, line in enumerate(path.read_text().split("\n"), 1)
        if naive.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "pyproject.toml", "Dockerfile"])
def test_where_packages_come_from_is_the_machines_own_setting(name):
    assert "://" not in (ROOT / name).read_text().replace(PROJECT, "")


def test_a_traceback_shows_no_local_variable_even_before_logging_is_configured():
    program = (
        "import structlog; from bot.log import keep_locals_out\n"
        "keep_locals_out()\n"
        "def fail():\n    secret = 'local-' + 'value'\n    raise RuntimeError('planted')\n"
        "try:\n    fail()\nexcept RuntimeError as error:\n    structlog.get_logger().error('broke', exc_info=error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "planted" in done.stdout
    assert "local-value" not in done.stdout
