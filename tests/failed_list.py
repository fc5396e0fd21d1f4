"""A plugin that writes down which tests failed, so that script/test can ask them once more: `--list-failed FILE`.

What was skipped, and why, is in `FILE.skipped`: script/test ends with it, so that no test is left out silently.
"""

from collections import Counter
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know where the list goes."""
    parser.addoption("--list-failed", type=Path, metavar="FILE", help="write which tests failed, a line each")


def pytest_configure(config: pytest.Config) -> None:
    """List the failed tests where that is asked for; with workers, the process that hears them all does so."""
    if (file := config.getoption("--list-failed")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailedList(file))


class FailedList:
    """Collect the failed tests of a run, those of all workers, and write a line for each when it ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: dict[str, None] = {}
        self._skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a failure, of an error before or after the test, and of why it was skipped."""
        if report.failed:
            self._failed[report.nodeid] = None
        elif report.skipped and isinstance(report.longrepr, tuple):
            self._skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_sessionfinish(self) -> None:
        """Write the lists; empty ones where nothing failed, or was skipped."""
        self._file.write_text("".join(f"{test}\n" for test in self._failed))
        skipped = (f"{why} (tests: {count})\n" for why, count in sorted(self._skipped.items()))
        self._file.with_name(f"{self._file.name}.skipped").write_text("".join(skipped))
