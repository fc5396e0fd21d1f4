"""Where there is no engine, a private one is started."""

import pytest

from testbed import engine
from tests.unit.testbed.test_engine import no_engine

pytestmark = pytest.mark.long

__all__ = ["no_engine"]


@pytest.mark.engine
def test_private_engine_started_as_fallback(tmp_path):
    with engine.find_or_start_engine(tmp_path / "engine") as found:
        assert found.private is not None
        assert found.private.answers()
        assert found.host_address() == found.private.host_address
        client = found.client()
        assert client.ping()
        client.close()
