"""What a stack's files may interpolate is what its environment gives them, and their folder; nothing of the bot's."""

import pytest

from roas.errors import ComposeFileError

OWN = ("HOME", "PATH", "DOCKER_HOST", "DOCKER_CONFIG", "ROAS_INSTANCE", "STATE_DIR", "DISCORD_TOKEN")


async def test_folder_is_known_and_nothing_of_the_bot(engine, stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OWN:
        monkeypatch.setenv(name, "/of-the-bot")
    monkeypatch.setenv("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
    asked = "".join(f"      {name}: '${{{name}-none}}'\n" for name in (*OWN, "PWD", "VERSION", "GIVEN"))
    text = f"services:\n  web:\n    image: tiny:v1\n    volumes: ['${{PWD}}/data:/data']\n    environment:\n{asked}"
    environment = stack(text, env="GIVEN=yes\n")
    (environment.folder / "data").mkdir()
    web = (await engine.resolve(environment, "v1")).model["services"]["web"]
    given = {"PWD": str(environment.folder), "VERSION": "v1", "GIVEN": "yes"}
    assert web["environment"] == dict.fromkeys(OWN, "none") | given
    assert [one["source"] for one in web["volumes"]] == [f"{environment.folder}/data"]


@pytest.mark.parametrize(
    "fields",
    [
        "services: {web: {image: 'tiny:v1', volumes: ['${DATA}/db:/db']}}",
        "services: {web: {image: 'tiny:v1', ports: ['127.0.0.1:${PORT}:80'], volumes: ['${DATA}/db:/db']}}",
        "services: {web: {image: 'tiny:v1', secrets: [s]}}\nsecrets: {s: {file: '${DATA}/s'}}",
        "services: {web: {image: 'tiny:v1', volumes: ['vol:/v']}}\nvolumes: {vol: {driver_opts: {device: '${DATA}'}}}",
    ],
    ids=["bind", "beside a port", "secret", "device"],
)
async def test_variable_without_value_in_a_path_is_refused(engine, stack, fields: str) -> None:
    """Compose would take the host's `/db`."""
    with pytest.raises(ComposeFileError, match="DATA, which is not set"):
        await engine.resolve(stack(fields), "v1", write_contents=False)


async def test_variable_without_value_elsewhere_is_warned_of(engine, stack) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', labels: {a: '${A}'}, cpus: '${B:-0.5}'}}")
    warnings = (await engine.resolve(environment, "v1")).warnings
    assert [one for one in warnings if "A is not set" in one]


async def test_home_is_not_that_of_the_bot(engine, stack) -> None:
    with pytest.raises(ComposeFileError, match="HOME, which is not set"):
        await engine.resolve(stack("services: {web: {image: 'tiny:v1', volumes: ['~/db:/db']}}"), "v1")
