"""What one worker built is there in the engines of all."""

import pytest

from testbed.bot_image import bot_image
from testbed.built_engine import TAG
from testbed.engine import Engine
from testbed.images import has_image

OWN = "roas-bot:built-by-another"


@pytest.mark.timeout(300)
def test_bot_image_is_built_once_in_a_run(building_engine: Engine) -> None:
    """An engine has it, layer by layer, and what its builder knows of it: another version is made in a moment."""
    client = building_engine.client()
    try:
        if not has_image(client, TAG):
            pytest.skip("this engine does not keep its images as folders")
        bot_image(building_engine, OWN, version="2.0")
        first, own = (client.images.get(tag).attrs for tag in (TAG, OWN))
        assert own["RootFS"] == first["RootFS"]
        assert own["Config"]["Labels"]["org.opencontainers.image.version"] == "2.0"
        client.images.remove(OWN)
    finally:
        client.close()
