"""The site is built without a warning, by itself, and a page that is read fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.reference.pages import PAGES

ROOT = Path(__file__).resolve().parents[3]
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\" >]+)")


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a folder as script/docs does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = ["script/docs", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_has_every_generated_page(site: Path):
    for path in PAGES:
        assert (site / path).with_suffix(".html").is_file(), path


def test_generated_pages_are_not_written_to_docs(site: Path):
    assert [path for path in PAGES if (ROOT / "docs" / path).exists()] == []


def test_pages_fetch_nothing_from_elsewhere(site: Path):
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    assert len(pages) > len(PAGES)
    assert {(path.name, found) for path, text in pages.items() for found in FETCHED.findall(text)} == set()


def test_site_says_nothing_of_this_machine(site: Path):
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert str(ROOT) not in text, path
        assert str(site) not in text, path


def test_broken_link_fails_the_build(tmp_path: Path):
    """By the site's settings, without its pages: to build those takes long."""
    settings = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(settings.replace("hooks: [tools/reference/hook.py]\n", ""))
    page = tmp_path / "docs" / "index.md"
    page.parent.mkdir()
    page.write_text("# Home\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    page.write_text("# Home\n\n[nowhere](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
