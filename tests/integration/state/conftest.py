"""The code of the release before, for all tests that let it read and write."""

from pathlib import Path

import pytest

from testbed.release_before import ReleaseBeforeMissingError, unpack_release_before


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the code of the release before."""
    try:
        return unpack_release_before(tmp_path_factory.mktemp("before"))
    except ReleaseBeforeMissingError as error:
        pytest.skip(str(error))
