"""What somebody has who ran `pip install roas-bot`, in an environment that has nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from roas import __version__
from tests.integration.packaging.environments import KINDS, ROOT, USUAL, CleanEnvironment, marked
from tests.integration.packaging.fixtures import EnvironmentOf, environment_of  # noqa: F401 - pytest finds the fixture by its name

GUIDE = ROOT / "docs" / "how-to" / "connect-ci.md"
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
    extras = ("pyjwt", "mcp", "apprise", "pyrage", "asyncssh")
    wanted = "import importlib.metadata; print(*importlib.metadata.requires('roas-bot'), sep='\\n')"
    named = [
        line
        for line in environment.run(tmp_path, "python", "-c", wanted).splitlines()
        if line.lower().startswith(extras)
    ]
    assert len(named) >= len(extras)
    assert [line for line in named if "extra ==" not in line] == []
    without = "import sys; sys.modules.update(dict.fromkeys(('jwt', 'mcp', 'apprise', 'pyrage', 'asyncssh'))); "
    assert environment.run(tmp_path, "python", "-c", f"{without}import roas.app.application, roas.service") == ""


LOOKS = {
    "roas-bot[ci]": "roas remote token && python -c 'import jwt'",
    "roas-bot[mcp]": "roas mcp --help && python -c 'import mcp'",
}


@pytest.mark.long
def test_install_lines_of_the_guide(environment_of: EnvironmentOf, tmp_path: Path):  # noqa: F811
    """As a job types them, of this wheel; what the guide has it run next is there, and has what it needs."""
    wheel, lines = str(environment_of(USUAL).wheel), [f"{sys.executable} -m venv own", ". own/bin/activate"]
    named = sorted(set(re.findall(r"pip install '(roas-bot\[\w+\])'", GUIDE.read_text())))
    for name in named:
        lines += [f"pip install --quiet '{name.replace('roas-bot', wheel)}'", LOOKS[name]]
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (named, done.returncode) == (sorted(LOOKS), 0), done.stderr


def test_import_beside_own_bot_and_cogs(environment: CleanEnvironment, tmp_path: Path):
    (tmp_path / "bot.py").write_text("OWNER = 'somebody'\n")
    (tmp_path / "cogs").mkdir()
    (tmp_path / "cogs" / "__init__.py").write_text("OWNER = 'somebody'\n")
    told = environment.run(tmp_path, "python", "-c", LOOK).rsplit(maxsplit=2)
    assert told[1:] == ["somebody", "somebody"]
    assert Path(told[0]).is_relative_to(environment.folder)
