"""Skip where a machine cannot have what a test runs of Debian's packages."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testbed.debian_packages import PackageError


@contextmanager
def packages_or_skip() -> Iterator[None]:
    """Skip the test, and say why, where a package cannot be obtained."""
    try:
        yield
    except PackageError as error:
        pytest.skip(str(error))
