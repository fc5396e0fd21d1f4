"""What people read first: it renders where it is shown, its links lead somewhere, and its lines are short."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from demo.drawn import TEXTS, all_texts
from roas.cli import COMMANDS, application
from roas.configuration.settings import Settings
from roas.deploy.dependencies import DependencyCoordinator
from roas.models import events
from roas.stack.model.definitions import read_definitions
from roas.stack.model.x_deploy.canary import refuse_impossible_canaries

ROOT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "README.zh-TW.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [ROOT / name for name in TOP] + sorted((ROOT / "docs").rglob("*.md"))
PROJECT = "https://github.com/roas-bot/roas-bot"
LINK = re.compile(r"\]\(([^)\s]+)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
COLUMNS = 120
# In pieces, so that whoever renames in the whole repository leaves them alone.
OLD_NAMES = ("python -m " + "bot", "load_extension(" + '"cogs")', "wait_until_" + "active")
NO_FILES_OF_OURS = {"roas.toml", "summary.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_at_most_120_columns(path: Path):
    long = [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > COLUMNS]
    assert long == []


def test_readme_links_work_outside_the_repository():
    links = ["".join(found) for found in LINK.findall((ROOT / "README.md").read_text())]
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("name", TOP)
def test_links_to_the_project_name_existing_files(name: str):
    text = (ROOT / name).read_text()
    paths = re.findall(rf"{re.escape(PROJECT)}/(?:blob|tree|raw)/main/([^)\s#]+)", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("name", "start"), [("README.md", "The commands are "), ("README.zh-TW.md", "命令有 ")])
def test_readme_lists_all_commands(name: str, start: str):
    paragraphs = (ROOT / name).read_text().split("\n\n")
    (listing,) = (paragraph for paragraph in paragraphs if paragraph.startswith(start))
    assert re.findall(r"`([a-z]+)`", listing) == list(COMMANDS)


def test_what_is_supported_is_run_by_what_is_there():
    text = (ROOT / "docs" / "supported.md").read_text()
    paths = re.findall(r"`(tests/[^`]+)`", text)
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []
    (claimed,) = re.findall(r'^requires-python = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"| Python | `{claimed}` |" in text


def test_readme_renders_as_a_package_description():
    from readme_renderer.markdown import render

    shown = render((ROOT / "README.md").read_text())
    assert shown is not None
    assert "<h1" in shown
    assert shown.count("<img") == len(re.findall(r"!\[", (ROOT / "README.md").read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_the_names_of_today(path: Path):
    text = path.read_text()
    old = OLD_NAMES[1:] if path.name == "CHANGELOG.md" else OLD_NAMES  # which says what was renamed
    assert [name for name in old if name in text] == []


def test_pictures_show_the_texts_of_today():
    assert all_texts() == TEXTS.read_text(), "the pictures are stale: take them again by script/pictures"


EXPLANATIONS = [
    f"docs/explanation/{name}.md" for name in ("deployment", "staying-alive", "alerts-and-recovery", "state")
]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/reliability.md", *EXPLANATIONS])
def test_files_that_documents_name_exist(name: str):
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".")]
    files = [f"/{path.relative_to(ROOT)}" for top in tops for path in (top, *top.rglob("*"))]
    named = set(re.findall(r"`([a-z_./-]+\.(?:py|toml|yml|md))`", (ROOT / name).read_text())) - NO_FILES_OF_OURS
    assert len(named) > 5
    assert sorted(path for path in named if not any(file.endswith(f"/{path}") for file in files)) == []


# The files of the ten questions, and what in them is the answer.
ANSWERS = {
    "bot/app/backup_schedule.py": "class BackupSchedule last_moment",
    "bot/app/offsite_backups.py": "class OffsiteBackups send_to",
    "bot/stack/backups/restic.py": "def send_to",
    "bot/deploy/data/backups.py": "def back_up_first",
    "bot/deploy/bake.py": "class ServiceBake",
    "bot/deploy/data/restore.py": "def restore_data",
    "CONTRIBUTING.md": "bot/checks/",
    "bot/limits.py": "PhaseName.EXECUTION SOON PATIENTLY MOST_ATTEMPTS RECOVERIES",
    "bot/deploy/handover/replacement.py": "_ready_successor SuccessorStoppedError",
    "bot/deploy/phase_failure.py": "def what_follows def awaits_engine",
    "bot/deploy/plan_lifecycle.py": "async def approve",
    "bot/deploy/draft.py": "wait_for_approval",
    "bot/deploy/planning/rollback_target.py": "find_rollback_target find_sound_release",
    "bot/deploy/waves/host_releases.py": "find_targets",
    "bot/deploy/run.py": "_handle_failure rollback_on_failure",
    "bot/deploy/waves/wave_run.py": "_are_too_many",
    "bot/leadership/elector.py": "_renew",
    "bot/leadership/takeover.py": "_find_reason _revert_handover",
    "bot/recovery/refusals.py": "def budget_allows",
    "bot/recovery/handler.py": "_deploy_previous",
    "bot/stack/updating/canary/judge.py": "def judge",
    "bot/leadership/shared_leadership.py": "_renew",
    "bot/state/shared/replica.py": "take_changes",
    "bot/state/shared/log.py": "_append catch_up",
    "bot/state/redis_sync.py": "backoff.failed()",
    "bot/ui/notifications/deployment_notifier.py": "approvers",
    "bot/ui/notifications/alert_notifier.py": "post_message is_due",
    "bot/checks/check.py": "class Check",
    "bot/alerts/bot_alerts.py": "class OwnAlert",
    "cogs/permissions.py": "Action.ROLLBACK",
}


def test_questions_have_short_answers():
    """Each is answered in at most two files, which exist."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("### Questions that people ask first")[2]
    rows = re.findall(r"^\| ([^|]+\?) \| ([^|]+) \|$", table, re.MULTILINE)
    answers = [re.findall(r"`([^`]+)`", answer) for _question, answer in rows]
    assert len(answers) >= 10
    assert [files for files in answers if not 1 <= len(files) <= 2] == []
    assert [file for files in answers for file in files if not (ROOT / file).is_file()] == []
    assert sorted({file for files in answers for file in files}) == sorted(ANSWERS)


@pytest.mark.parametrize(("file", "words"), ANSWERS.items(), ids=str)
def test_answers_are_where_the_table_says(file: str, words: str):
    """What was moved elsewhere is no answer any more."""
    assert [word for word in words.split() if word not in (ROOT / file).read_text()] == []


def test_table_of_events_is_whole():
    """Its names are those of the kinds of events in the code."""
    text = (ROOT / "docs/explanation/state.md").read_text().partition("\n## Events\n")[2]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    assert sorted(listed) == sorted(kind.type for kind in kinds if "type" in vars(kind) and kind is not events.Event)


def test_table_of_settings_lists_all_tables():
    text = (ROOT / "docs/configuration.md").read_text()
    listed = {
        name for row in re.findall(r"^\| (`\[.+?) \|", text, re.MULTILINE) for name in re.findall(r"\[(\w+)", row)
    }
    extras = [field.json_schema_extra for field in Settings.model_fields.values()]
    assert {str(extra["table"]) for extra in extras if isinstance(extra, dict) and "table" in extra} - listed == set()


@pytest.mark.parametrize("table", ["deployment", "policy", "state"])
def test_table_of_settings_lists_all_keys(table: str):
    """Of the other tables, the page says how their keys are made."""
    (row,) = re.findall(rf"^\| `\[{table}\]` \| (.+) \|$", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    extras = [field.json_schema_extra for field in Settings.model_fields.values()]
    keys = {str(extra["key"]) for extra in extras if isinstance(extra, dict) and extra.get("table") == table}
    assert keys - set(re.findall(r"`([a-z_]+)`", row)) == set()


@pytest.mark.parametrize("name", ["tutorial/your-stack.md", "how-to/troubleshooting.md"])
def test_quoted_messages_are_said_by_the_product(name: str):
    """Who looks a message up finds it as it is said, up to the first name or number in it."""
    said = [path.read_text() for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py")]
    quoted = re.findall(r"^\| [^|]*?\"([^\"|]+)\"[^|]* \|", (ROOT / "docs" / name).read_text(), re.MULTILINE)
    assert len(quoted) > 2
    beginnings = [re.split(r" ?(?:/|…)", text)[0] for text in quoted]
    assert [text for text in beginnings if not any(text in known for known in said)] == []


def test_jobs_of_the_guide_are_read_as_such():
    """What the guide on jobs shows is a stack in which three services end, in the order that it says."""
    text = (ROOT / "docs/how-to/jobs.md").read_text()
    example = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    definitions = read_definitions(example)
    assert [name for name, definition in definitions.items() if definition.one_shot] == [
        "migrate",
        "warm-up",
        "smoke-test",
    ]
    assert [name for name, definition in definitions.items() if definition.runs_on_rollback] == [
        "warm-up",
        "smoke-test",
    ]
    assert DependencyCoordinator(definitions).order() == ("database", "migrate", "web", "warm-up", "smoke-test")


def examples(page: str) -> list[dict]:
    """Return what a page shows of compose files, as Compose would resolve it, each within a service that is whole."""
    text, found = (ROOT / "docs/how-to" / page).read_text(), []
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        shown = yaml.safe_load(block)
        if "verify" in shown:
            shown = {"command": ["dump"], "restore": ["load"], **shown}
        if "services" not in shown:
            of_canary = {**shown.get("x-deploy", {}), "proxy": "haproxy"}
            of_service = {"x-deploy": of_canary if "x-deploy" in shown else {"backup": shown}}
            shown = {"services": {"web": {"image": "web:v1", "deploy": {"replicas": 4}, **of_service}}}
            if "backup" in of_service["x-deploy"]:
                del shown["services"]["web"]["deploy"]
        for service in shown["services"].values():
            named = [mount.split(":") for mount in service.pop("volumes", ())]
            service["volumes"] = [{"type": "volume", "source": name, "target": path} for name, path in named]
            service.setdefault("healthcheck", {"test": ["CMD", "true"]})
            if "canary" in service.get("x-deploy", {}):
                shown = {**shown, "services": {**shown["services"], "haproxy": {"image": "haproxy:3"}}}
        found.append({"name": "shop", **shown})
    return found


@pytest.mark.parametrize(
    ("page", "shown"), [(page, shown) for page in ("backups.md", "canary.md") for shown in examples(page)]
)
def test_files_of_the_guides_are_read(page: str, shown: dict):
    """What they show is written as it has to be, and asks for what they are about."""
    definitions = read_definitions(shown)
    refuse_impossible_canaries(definitions)
    about = [definition.backup or definition.canary for definition in definitions.values()]
    assert any(about)


def typed_commands(path: Path) -> list[str]:
    """Return the commands of this program that a page shows on lines of their own."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", path.read_text(), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.startswith("roas ")]


@pytest.mark.parametrize("path", [*filter(typed_commands, DOCUMENTS)], ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_options_that_pages_give_them(path: Path):
    for line in typed_commands(path):
        _, *words = shlex.split(re.split("[|>]", line)[0], comments=True)
        command = typer.main.get_command(application())
        while hasattr(command, "list_commands"):
            _, command, words = command.resolve_command(typer.Context(command), words)
        command.make_context(line, words)
