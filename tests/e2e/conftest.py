"""Images of a sample service for every test that deploys it by a bot."""

from collections.abc import Callable

import pytest

from tests.e2e.wire.shop import REPOSITORY


@pytest.fixture(scope="session")
def image_ids(sample_image: Callable[..., str]) -> dict[str, str]:
    """Make a good v1 and v2, and a v3 that never becomes healthy."""
    return {
        "v1": sample_image(f"{REPOSITORY}:v1", version="v1"),
        "v2": sample_image(f"{REPOSITORY}:v2", version="v2"),
        "v3": sample_image(f"{REPOSITORY}:v3", version="v3", behaviour="unhealthy"),
    }
