"""The generated pages say what the code has: compared with what the programs print and what the stack's files use."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roas.cli import application
from roas.cli.running import ExitCode
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from tools.reference import command_line, events, example_env, exit_codes
from tools.reference.markdown import rows, section, table
from tools.reference.pages import write_pages

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return write_pages()


def test_every_setting_is_listed_and_explained(pages: dict[str, str]):
    page = pages["reference/settings.md"]
    listed = {cells[0].strip("`"): cells[-1] for part in page.split("\n## ") for cells in rows(part)}
    for name in (*Settings.model_fields, *EnvironmentSettings.model_fields):
        assert listed.get(name.upper()), name


def test_defaults_of_settings_are_those_in_force(pages: dict[str, str]):
    general = pages["reference/settings.md"].partition("\n## One environment")[0]
    listed = {cells[0]: cells[2] for part in general.split("\n## ") for cells in rows(part)}
    settings = Settings(_env_file=None)
    assert listed["`RELEASES_KEPT`"] == f"`{settings.releases_kept}`"
    assert listed["`CRITICAL_SERVICES`"] == f"`{','.join(settings.critical_services)}`"
    assert listed["`DISCORD_TOKEN`"] == ""


def test_options_are_those_that_help_prints(pages: dict[str, str]):
    words = [list(path) for path, _ in command_line.commands()]
    assert len(words) > 10
    for path in words:
        printed = CliRunner().invoke(application(), [*path, "--help"], catch_exceptions=False).output
        printed = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", printed, re.MULTILINE)) - {"--help"}
        listed = set(re.findall(r"`(--[a-z-]+)`", section(pages["reference/command-line.md"], " ".join(path))))
        assert listed == printed, path


def test_slash_commands_have_options_and_chinese(pages: dict[str, str]):
    page = pages["reference/slash-commands.md"]
    names = "cancel deploy history hotfix lock logs promote restart rollback scale start status stop unlock"
    assert re.findall(r"^## /(\w+)$", page, re.MULTILINE) == names.split()
    deploy = section(page, "/deploy")
    assert [cells[0] for cells in rows(deploy)] == ["`environment`", "`version`", "`services`", "`dry_run`", "`when`"]
    assert [cells[2] for cells in rows(deploy)] == ["yes", "yes", "no", "no", "no"]
    assert "zh-TW: `/部署`" in deploy


def test_metrics_of_rules_and_dashboard_are_listed(pages: dict[str, str]):
    listed = {cells[0].strip("`"): cells for cells in rows(pages["reference/metrics.md"])}
    files = [path for path in (ROOT / "monitoring").rglob("*") if path.suffix in {".yml", ".json"}]
    used = {name for path in files for name in re.findall(r"\broas_[a-z_]+\b", path.read_text())}
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used if not name.endswith("_total")} | {
        name for name in used if name.endswith("_total")
    }
    assert len(used) > 10
    assert used - set(listed) == set()
    assert listed["roas_deployments_total"][1:3] == ["counter", "`environment` `kind` `outcome`"]


def test_every_exit_code_has_its_meaning(pages: dict[str, str]):
    listed = rows(pages["reference/exit-codes.md"])
    assert [int(cells[0]) for cells in listed] == [int(code) for code in ExitCode]
    assert all(cells[2] for cells in listed)


def test_exit_code_without_meaning_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "command-line.md"
    page.write_text(exit_codes.PAGE.read_text().replace("| 78 | a setting is missing or wrong |\n", ""))
    monkeypatch.setattr(exit_codes, "PAGE", page)
    with pytest.raises(ValueError, match="exit codes"):
        exit_codes.page()


def test_event_that_nobody_explains_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "architecture.md"
    page.write_text(re.sub(r"^\| `release.created` .*\n", "", events.PAGE.read_text(), flags=re.MULTILINE))
    monkeypatch.setattr(events, "PAGE", page)
    with pytest.raises(ValueError, match=r"release\.created"):
        events.page()


def test_pages_say_nothing_of_this_machine(pages: dict[str, str]):
    for path, text in pages.items():
        assert str(ROOT) not in text, path
        assert str(Path.home()) not in text, path


def test_variables_of_one_comment_share_it():
    found = example_env.explained("# ---- One ----\n\n# Where\n# it is.\nHOST=\n#PORT=80\n\n# Other.\nNAME=x\n")
    assert [(message.name, message.heading, message.text, message.shown) for message in found.values()] == [
        ("HOST", "One", "Where it is.", ""),
        ("PORT", "One", "Where it is.", "80"),
        ("NAME", "One", "Other.", "x"),
    ]


def test_cells_with_bars_stay_one_cell():
    assert rows(table(("a", "b"), [("x | y", "two\nlines")])) == [["x \\| y", "two lines"]]
