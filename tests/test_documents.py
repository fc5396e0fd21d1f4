"""What people read first: it renders where it is shown, its links lead somewhere, and its lines are short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [ROOT / name for name in TOP] + sorted((ROOT / "docs").rglob("*.md"))
PROJECT = "https://github.com/roas-bot/roas-bot"
LINK = re.compile(r"\]\(([^)\s]+)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
COLUMNS = 120


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


def test_readme_renders_as_a_package_description():
    from readme_renderer.markdown import render
    shown = render((ROOT / "README.md").read_text())
    assert shown is not None
    assert "<h1" in shown
    assert shown.count("<img") == len(re.findall(r"!\[", (ROOT / "README.md").read_text()))
