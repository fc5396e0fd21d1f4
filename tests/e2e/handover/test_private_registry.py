"""A registry that asks for a password, as the shipped stack meets it: `roas login` in the bot's container."""

import pytest

from testbed.home_stack import BOT_SERVICE, STORE_IMAGE
from testbed.private_registry import PASSWORD, USER, private_registry
from tests.e2e.handover.conftest import clear_away, other_version
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.timeout(300)


def roas(home, *arguments: str, said: str = "") -> tuple[int, str]:
    """Type a command in the bot's container, as `docker compose exec -T` does, with something on stdin."""
    script = f'printf %s "$SAID" | exec roas {" ".join(arguments)}'
    (bot,) = home.bots()
    code, output = bot.exec_run(["/bin/sh", "-c", script], environment={"SAID": said})
    return code, output.decode()


async def test_login_opens_a_private_registry(home, people, images, client, tmp_path):
    """Without it the image is refused; with it, it is pulled; and the login outlives the container of the bot."""
    compose = home.folder / "docker-compose.yml"
    written = compose.read_text()
    with private_registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/store"
        client.images.get(STORE_IMAGE).tag(name, "v1")
        client.api.push(name, "v1", auth_config=registry.login)
        client.images.remove(f"{name}:v1")
        compose.write_text(written.replace(f"image: {STORE_IMAGE}", f"image: {name}:v1\n    pull_policy: always"))
        try:
            version = other_version(home, images)
            refused = await ask(people, "dora", "deploy", environment="dev", version=version)
            assert name in refused, refused
            code, said = roas(home, "login", registry.address, "-u", USER, said="wrong")
            assert code != 0, said
            code, said = roas(home, "login", registry.address, "-u", USER, said=PASSWORD)
            assert (code, "Login Succeeded" in said) == (0, True), said
            kept = home.folder / "state" / "docker" / "config.json"
            assert kept.stat().st_uid == (home.folder / "state").stat().st_uid
            assert kept.stat().st_mode & 0o777 == 0o600
            told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
            assert "succeeded" in told.text, told.text
            digests = [one for container in home.everything() for one in container.image.attrs["RepoDigests"]]
            assert any(one.startswith(f"{name}@") for one in digests), digests
            sessions = (await people.state())["identified"]
            home.compose("restart", BOT_SERVICE)
            await people.wait_until_connected(60.0, identified=sessions + 1)
            planned = await ask(people, "dora", "deploy", environment="dev", version=other_version(home, images))
            assert "unauthorized" not in planned.lower(), planned
        finally:
            compose.write_text(written)
            clear_away(home)
