"""What somebody has who ran `pip install roas-bot`, in an environment that has nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from roas import __version__
from tests.integration.packaging.environments import ENDS, KINDS, ROOT, USUAL, CleanEnvironment, marked
from tests.integration.packaging.fixtures import EnvironmentOf, environment_of  # noqa: F401 - pytest finds the fixture by its name

GUIDE = ROOT / "docs" / "how-to" / "connect-ci.md"
LOOK = """
import sys, roas, roas.cogs
assert callable(roas.setup)
assert not {"bot", "cogs"} & set(sys.modules), "ours are not found under the names of the host's"
import bot, cogs
print(roas.__file__, bot.OWNER, cogs.OWNER)
"""


# In one process: each module, also those that a command loads when it is used, and what each command says of itself.
EVERYTHING = """
import importlib, pkgutil, roas
from typer.main import get_command

def fail(name):
    raise ImportError(name)

# Not what runs when it is imported.
found = [module.name for module in pkgutil.walk_packages(roas.__path__, "roas.", onerror=fail)]
for name in found:
    if not name.endswith("__main__"):
        importlib.import_module(name)

from roas.cli import application

def show(command, words):
    told.append(" ".join(words))
    with command.make_context(words[-1], ["--help"], resilient_parsing=True) as context:
        assert "Usage: " in command.get_help(context), words
    for name, one in getattr(command, "commands", {}).items():
        show(one, [*words, name])

told = []
show(get_command(application()), ["roas"])
print(len(found), len(told), *told, sep="\\n")
"""


@pytest.fixture(params=[marked(kind, ENDS) for kind in KINDS])
def environment(request: pytest.FixtureRequest, environment_of: EnvironmentOf) -> CleanEnvironment:  # noqa: F811
    return environment_of(request.param)


@pytest.mark.parametrize("command", [("roas",), ("python", "-m", "roas")], ids=" ".join)
def test_version_is_printed(environment: CleanEnvironment, tmp_path: Path, command: tuple[str, ...]):
    assert environment.run(tmp_path, *command, "--version").split() == ["roas", __version__]


def test_every_module_and_every_help(environment: CleanEnvironment, tmp_path: Path):
    modules, *helps = environment.run(tmp_path, "python", "-c", EVERYTHING).splitlines()
    assert int(modules) > 300, modules
    assert {"roas", "roas deploy", "roas config show", "roas backups verify"} <= set(helps)


@pytest.mark.parametrize(("command", "code"), [("doctor", 1), ("config show", 0), ("status", 69)])
def test_looking_without_an_engine(environment: CleanEnvironment, tmp_path: Path, command: str, code: int):
    """It ends as documented, and has no traceback."""
    (tmp_path / "docker-compose.yml").write_text("services: {web: {image: busybox}}\n")
    (tmp_path / ".env").write_text("DOCKER_HOST=unix:///nowhere/docker.sock\nCOMPOSE_PROJECT_NAME=shop\n")
    told = environment.run(tmp_path, "roas", *command.split(), code=code)
    assert "Traceback" not in told
    assert {"doctor": "health_checks", "config show": "STACK_DIR", "status": "does not answer"}[command] in told


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
