"""What somebody has who ran `pip install roas-bot`, in an environment that has nothing else."""

from pathlib import Path

import pytest

from roas import __version__
from tests.integration.packaging.environments import KINDS, CleanEnvironment, marked
from tests.integration.packaging.fixtures import EnvironmentOf, environment_of  # noqa: F401 - pytest finds the fixture by its name

LOOK = """
import sys, roas, roas.cogs
assert callable(roas.setup)
assert not {"bot", "cogs"} & set(sys.modules), "ours are not found under the names of the host's"
import bot, cogs
print(roas.__file__, bot.OWNER, cogs.OWNER)
"""


@pytest.fixture(params=[marked(kind) for kind in KINDS])
def environment(request: pytest.FixtureRequest, environment_of: EnvironmentOf) -> CleanEnvironment:  # noqa: F811
    return environment_of(request.param)


@pytest.mark.parametrize("command", [("roas",), ("python", "-m", "roas")], ids=" ".join)
def test_version_is_printed(environment: CleanEnvironment, tmp_path: Path, command: tuple[str, ...]):
    assert environment.run(tmp_path, *command, "--version").split() == ["roas", __version__]


@pytest.mark.parametrize("command", [(), ("deploy",), ("config", "show")], ids=" ".join)
def test_help_is_printed(environment: CleanEnvironment, tmp_path: Path, command: tuple[str, ...]):
    assert "Usage: roas" in environment.run(tmp_path, "roas", *command, "--help")


def test_missing_argument_is_named(environment: CleanEnvironment, tmp_path: Path):
    assert "Missing argument 'ENVIRONMENT'" in environment.run(tmp_path, "roas", "deploy", code=2)


def test_settings_schema_is_printed(environment: CleanEnvironment, tmp_path: Path):
    assert '"properties"' in environment.run(tmp_path, "roas", "config", "schema")


def test_no_extra_is_installed_or_needed(environment: CleanEnvironment, tmp_path: Path):
    """A host bot installs nothing for CI jobs, agents and pagers, and the bot begins without."""
    extras = ("pyjwt", "mcp", "apprise")
    wanted = "import importlib.metadata; print(*importlib.metadata.requires('roas-bot'), sep='\\n')"
    named = [
        line
        for line in environment.run(tmp_path, "python", "-c", wanted).splitlines()
        if line.lower().startswith(extras)
    ]
    assert len(named) >= len(extras)
    assert [line for line in named if "extra ==" not in line] == []
    without = "import sys; sys.modules.update(dict.fromkeys(('jwt', 'mcp', 'apprise'))); "
    assert environment.run(tmp_path, "python", "-c", f"{without}import roas.app.composition, roas.service") == ""


def test_import_beside_own_bot_and_cogs(environment: CleanEnvironment, tmp_path: Path):
    (tmp_path / "bot.py").write_text("OWNER = 'somebody'\n")
    (tmp_path / "cogs").mkdir()
    (tmp_path / "cogs" / "__init__.py").write_text("OWNER = 'somebody'\n")
    told = environment.run(tmp_path, "python", "-c", LOOK).rsplit(maxsplit=2)
    assert told[1:] == ["somebody", "somebody"]
    assert Path(told[0]).is_relative_to(environment.folder)
