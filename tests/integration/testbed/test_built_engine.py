"""What one worker built is there in the engines of all."""

import docker.errors
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


def test_system_calls_are_filtered(building_engine: Engine) -> None:
    """By the engine's own rules: somebody else may make a namespace for users, and the kernel lets them."""
    client = building_engine.client()
    try:
        if not has_image(client, TAG):
            pytest.skip("this engine does not keep its images as folders")
        status = client.containers.run(TAG, ["Seccomp:", "/proc/self/status"], entrypoint="grep", remove=True)
        assert status.split() == [b"Seccomp:", b"2"]
        with pytest.raises(docker.errors.ContainerError, match="Operation not permitted"):
            client.containers.run(TAG, ["--user", "true"], entrypoint="unshare", remove=True)
        open_for_all = ["seccomp=unconfined"]
        client.containers.run(TAG, ["--user", "true"], entrypoint="unshare", remove=True, security_opt=open_for_all)
    finally:
        client.close()
