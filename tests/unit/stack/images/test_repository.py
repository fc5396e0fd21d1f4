"""A repository is called what the engine calls it, however people write it."""

import pytest

from roas.stack.images.lookup import repository_of


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("redis", "redis"),
        ("redis:7", "redis"),
        ("library/redis:7", "redis"),
        ("docker.io/redis", "redis"),
        ("docker.io/library/redis:7", "redis"),
        ("index.docker.io/library/redis", "redis"),
        ("grafana/grafana:11", "grafana/grafana"),
        ("docker.io/grafana/grafana", "grafana/grafana"),
        ("ghcr.io/library/redis:7", "ghcr.io/library/redis"),
        ("localhost:5000/library/redis:7", "localhost:5000/library/redis"),
    ],
)
def test_repository_is_what_the_engine_calls_it(written: str, called: str) -> None:
    assert repository_of(written) == called
