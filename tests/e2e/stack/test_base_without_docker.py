"""The image on a base like the one of a registry, which has no Docker command line: it comes by apt."""

import pytest

from testbed.bot_image import bot_image
from testbed.images import has_image
from testbed.python_base import python_base

pytestmark = pytest.mark.timeout(420)
TAG = "roas-bot:by-apt"


def run(client, image, *command):
    return client.containers.run(image, list(command), entrypoint="", remove=True).decode()


def test_docker_command_line_comes_by_apt(building_engine):
    client = building_engine.client()
    try:
        base = python_base(client, with_docker=False)
        assert run(client, base, "sh", "-c", "command -v docker docker-compose || echo none") == "none\n"
        bot_image(building_engine, TAG, with_docker=False)
        assert has_image(client, TAG)
        assert "Docker version" in run(client, TAG, "docker", "--version")
        assert "Docker Compose version" in run(client, TAG, "docker", "compose", "version")
        assert "Docker Compose version" in run(client, TAG, "docker-compose", "version")
        assert run(client, TAG, "sh", "-c", "ls /var/lib/apt/lists | wc -l") == "0\n"
    finally:
        client.close()
