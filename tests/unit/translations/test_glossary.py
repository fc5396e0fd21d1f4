"""One word for one thing, as operations people in Taiwan say it."""

import re
from pathlib import Path

import pytest

from roas.ui.translation import LOCALE_FOLDER
from tools.translations.__main__ import read_catalogue

CATALOGUE = LOCALE_FOLDER / "zh_TW" / "LC_MESSAGES" / "roas.po"
ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.zh-TW.md", *sorted((ROOT / "docs").rglob("*.zh-TW.md"))]
# A thing in English; its word in Chinese; what it is never called; and the things in English that are called so.
GLOSSARY = [
    (r"\broll(?:s|ed|ing)? (?:it )?back\b|rollback", "回滾", "回復|復原", ""),
    (r"\balerts?\b", "告警", "警示|警報", ""),
    (r"\bhotfix", "緊急修復", "緊急修正", ""),
    (r"\bdepends? on\b|dependenc", "依賴", "相依", ""),
    (r"\bvolumes?\b", "磁碟區", "資料卷|儲存區", ""),
    (r"\bregistr(?:y|ies)\b", "映像檔倉庫", "登錄庫|註冊表", ""),
    (r"\breplicas?\b", "副本", "複本", ""),
    (r"\bprocess(?:es)?\b", "行程", "程序|進程", ""),
    (r"\breleases?\b", "發行版本", "發行版(?!本)", ""),
    (r"\breleases?\b", "發行版本", "(?<!發行)版本", r"version|or later|or newer|an earlier one"),
    (r"\btasks?\b", "任務", "工作", r"\bjobs?\b|\bwork|under way|requested"),
    (r"\bjournal\b", "狀態日誌", "[紀記]錄", r"\bhistory\b|\blogs by\b"),
    (r"\bquorum\b", "法定多數", "仲裁|法定人數", ""),
    (r"\bbinds?\b|\bmount(?:s|ed)?\b", "掛載", "綁定|[繫系]結", ""),
    (r"\boperators?\b", "維運人員", "操作員|操作人員", ""),
    (r"\bimages?\b", "映像檔", "映像(?!檔)|鏡像", ""),
    (r"\bapprov(?:e|al|er)", "核准", "批准|審核", ""),
    (r"\bconfirm", "確認", "", ""),
]
# What these say is not the thing, or goes without its name.
EXCEPTIONS = {"The journal {path} is locked by another process, which does not release it."}
# Code, titles of pages, names of values and commands are no words of the text.
NO_WORDS = re.compile(r"`[^`]*`|\*[^*]+\*|\{\w+[|}]|/\w+")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
PUNCTUATION = re.compile(r"\s，|(?<=[\u4e00-\u9fff]),|,(?=[\u4e00-\u9fff])")


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    catalogue = read_catalogue(CATALOGUE, "zh_TW")
    return [(str(message.id), str(message.string)) for message in catalogue if message.id and message.string]


@pytest.mark.parametrize(("english", "word", "wrong", "others"), GLOSSARY, ids=[word for _, word, _, _ in GLOSSARY])
def test_thing_has_one_word(texts: list[tuple[str, str]], english: str, word: str, wrong: str, others: str) -> None:
    unnamed, misnamed = [], []
    for key, text in texts:
        said = NO_WORDS.sub(" ", key)
        if re.search(english, said, re.IGNORECASE) and word not in text and key not in EXCEPTIONS:
            unnamed.append(text)
        if wrong and re.search(wrong, text) and not (others and re.search(others, key, re.IGNORECASE)):
            misnamed.append(text)
    assert (unnamed, misnamed) == ([], [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_the_same_words(page: Path) -> None:
    text = page.read_text()
    never = "|".join(wrong for _, _, wrong, others in GLOSSARY if wrong and not others)
    assert re.findall(never, text) == []
    assert PUNCTUATION.findall(CODE.sub("code", text)) == []


def test_punctuation_is_full_width(texts: list[tuple[str, str]]) -> None:
    assert [text for _, text in texts if PUNCTUATION.search(text)] == []
