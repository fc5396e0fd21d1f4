"""Somebody interferes with a stack while it is deployed, by other commands and by Docker's."""

import pytest

from tests.e2e.stack.swarm.beside import Beside

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.usefixtures("meddled")
def test_what_is_meddled_with_comes_back(beside: Beside) -> None:
    """What is cancelled, what a hand wrote in the last moment, and a stack that was removed: see `meddling.py`."""
    assert beside.meddled is not None
    beside.meddled.result()
