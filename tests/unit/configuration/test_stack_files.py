"""The files and the project of a stack are those that `docker compose` takes in its folder."""

from pathlib import Path

import pytest

from roas.configuration.environments import environments
from roas.configuration.settings import GivenSettings
from roas.configuration.stack_files import usual_project
from roas.models.environment import Environment


def laid_out(folder: Path, name: str = "prod", **settings: object) -> Environment:
    return environments(GivenSettings(stack_dir=folder, **settings))[name]


@pytest.mark.parametrize(
    ("present", "used", "ignored"),
    [
        ("compose.yaml", "compose.yaml", ""),
        ("compose.yml docker-compose.yml", "compose.yml", "docker-compose.yml"),
        ("docker-compose.yaml", "docker-compose.yaml", ""),
        ("compose.yaml compose.override.yml", "compose.yaml compose.override.yml", ""),
        ("docker-compose.yml docker-compose.override.yaml", "docker-compose.yml docker-compose.override.yaml", ""),
        (
            "compose.yaml compose.override.yml docker-compose.override.yml",
            "compose.yaml compose.override.yml",
            "docker-compose.override.yml",
        ),
        (
            "compose.yaml compose.prod.yaml compose.override.yml",
            "compose.yaml compose.prod.yaml",
            "compose.override.yml",
        ),
        ("compose.yaml compose.prod.yml", "compose.yaml compose.prod.yml", ""),
        ("compose.yaml compose.dev.yaml", "compose.yaml", ""),
        ("", "docker-compose.yml", ""),
    ],
)
def test_files_found_as_compose_does(tmp_path, present, used, ignored):
    for name in present.split():
        (tmp_path / name).touch()
    found = laid_out(tmp_path)
    assert [path.name for path in found.compose_files] == used.split()
    assert [path.name for path in found.ignored_files] == ignored.split()


def test_files_named_in_dotenv_are_used(tmp_path):
    (tmp_path / "compose.yaml").touch()
    (tmp_path / ".env").write_text("COMPOSE_FILE=base.yml,more/live.yml\nCOMPOSE_PATH_SEPARATOR=,\n")
    assert laid_out(tmp_path).compose_files == (tmp_path / "base.yml", tmp_path / "more/live.yml")
    named = laid_out(tmp_path, compose_file="compose.yaml")
    assert named.compose_files == (tmp_path / "compose.yaml",)


@pytest.mark.parametrize(
    ("compose", "env", "project"),
    [
        ("services: {}", "", "my-shop"),
        ("name: shop\nservices: {}", "", "shop"),
        ('name: "shop" # ours\nservices: {}', "", "shop"),
        ("services: {a: {}}\nx-a:\n  name: other", "", "my-shop"),
        ("name: shop\nservices: {}", "COMPOSE_PROJECT_NAME=live", "live"),
    ],
)
def test_project_named_as_compose_does(tmp_path, compose, env, project):
    folder = tmp_path / "My-Shop."
    folder.mkdir()
    (folder / "compose.yaml").write_text(compose)
    (folder / ".env").write_text(env)
    home = laid_out(folder, home_environment="prod")
    assert usual_project(folder, home.compose_files, home.env_files) == project
    assert (home.project, home.project_is_given) == (project, False)
    assert laid_out(folder).project == "my-shop-prod"


NAMED_BY_PROD = {
    "secret": "secrets: {db: {file: ./prod.txt}}\n",
    "variables": "services: {web: {env_file: ./prod.txt}}\n",
    "variables with a path": "services: {web: {env_file: [{path: prod.txt}]}}\n",
    "included": "include: [prod/more.yml]\n",
    "included by a path": "include: [{path: [prod/more.yml]}]\n",
    "extended": "services: {web: {extends: {file: prod/more.yml, service: web}}}\n",
    "key of backups": "services: {web: {x-deploy: {backup: {key: {folder}/prod.txt}}}}\n",
}


@pytest.mark.parametrize("written", NAMED_BY_PROD.values(), ids=NAMED_BY_PROD)
def test_file_of_another_environment_is_withheld_or_told(tmp_path: Path, written: str) -> None:
    """Whoever commits to one environment's files may name what another one has for itself."""
    for name in ("compose.yaml", "compose.dev.yaml"):
        (tmp_path / name).write_text("services: {web: {image: web}}\n")
    (tmp_path / "compose.prod.yaml").write_text(written.replace("{folder}", str(tmp_path)))
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod/more.yml").write_text("include: [least.yml]\n")
    (tmp_path / "prod/least.yml").write_text("include: [more.yml]\nsecrets: {db: {file: ../prod.txt}}\n")
    dev, file = laid_out(tmp_path, "dev"), tmp_path / "prod.txt"
    assert file in dev.withheld
    assert not dev.shared
    (tmp_path / "compose.dev.yaml").write_text("secrets: {mine: {file: prod.txt}}\n")
    dev = laid_out(tmp_path, "dev")
    assert file in dev.shared
    assert file not in dev.withheld


@pytest.mark.parametrize(("name", "is_shared"), [("secret", True), ("key of backups", True), ("variables", False)])
def test_secret_of_another_environment_is_told_wherever_it_is_named(
    tmp_path: Path, name: str, *, is_shared: bool
) -> None:
    """What the first file names is of all its environments, but for secrets."""
    (tmp_path / "compose.yaml").write_text("secrets: {mine: {file: prod.txt}}\nservices: {web: {image: web}}\n")
    (tmp_path / "compose.prod.yaml").write_text(NAMED_BY_PROD[name].replace("{folder}", str(tmp_path)))
    dev = laid_out(tmp_path, "dev")
    assert (tmp_path / "prod.txt" in dev.shared) == is_shared
    assert tmp_path / "prod.txt" not in dev.withheld


def test_dotenv_names_no_file_of_another_environment(tmp_path: Path) -> None:
    for name in ("compose.yaml", "compose.prod.yaml"):
        (tmp_path / name).write_text("services: {web: {image: web}}\n")
    (tmp_path / "compose.prod.yaml").write_text(NAMED_BY_PROD["secret"])
    (tmp_path / ".env").write_text("COMPOSE_FILE=compose.yaml:compose.prod.yaml\n")
    dev, prod = (laid_out(tmp_path, name) for name in ("dev", "prod"))
    assert dev.compose_files == (tmp_path / "compose.yaml",)
    assert dev.files_outside == (tmp_path / "compose.prod.yaml",)
    assert tmp_path / "prod.txt" in dev.withheld
    assert prod.compose_files == (tmp_path / "compose.yaml", tmp_path / "compose.prod.yaml")
    assert not prod.files_outside


@pytest.mark.parametrize("place", ["prod", "../prod"])
def test_secrets_of_another_folder_are_withheld(tmp_path: Path, place: str) -> None:
    """Also of one that lies in the folder of the stack, and is copied with it."""
    ours, theirs = tmp_path / "dev", tmp_path / "dev" / place
    theirs.mkdir(parents=True)
    (ours / "compose.yaml").write_text("services: {web: {image: web}}\n")
    (theirs / "compose.yaml").write_text("secrets: {db: {file: ./db.txt}}\nconfigs: {c: {file: ./web.conf}}\n")
    dev = laid_out(ours, "dev", environments={"prod": {"folder": theirs}})
    real = theirs.resolve()
    assert {real / ".env", real / "db.txt"} <= dev.withheld
    assert real / "web.conf" not in dev.withheld
    (ours / "compose.yaml").write_text(f"secrets: {{db: {{file: {theirs}/../{theirs.name}/db.txt}}}}\n")
    assert laid_out(ours, "dev", environments={"prod": {"folder": theirs}}).shared == {real / "db.txt"}
    prod = laid_out(ours, "prod", environments={"prod": {"folder": theirs}})
    assert not {real / ".env", real / "db.txt"} & prod.withheld
