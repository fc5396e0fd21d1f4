"""One word for one thing, as operations people in Taiwan say it."""

import re

import pytest

from roas.ui.translation import LOCALE_FOLDER
from tools.translations.__main__ import read_catalogue

CATALOGUE = LOCALE_FOLDER / "zh_TW" / "LC_MESSAGES" / "roas.po"
# A word in English, as a pattern where it has others; its word in Chinese; and what it is not.
GLOSSARY = [
    (r"\broll(?:s|ed|ing)? (?:it )?back\b|rollback", "回滾", "回復|復原"),
    (r"\balerts?\b", "告警", "警示|警報"),
    (r"\bhotfix", "緊急修復", "緊急修正"),
    (r"\bdepends? on\b|dependenc", "依賴", "相依"),
    (r"\bvolumes?\b", "磁碟區", "資料卷|儲存區"),
    (r"\bregistr(?:y|ies)\b", "映像檔倉庫", "登錄庫|註冊表"),
    (r"\breplicas?\b", "副本", "複本"),
    (r"\bprocess(?:es)?\b", "行程", "程序|進程"),
    (r"\breleases?\b", "發行版本", "發行版(?!本)"),
    (r"\btasks?\b", "任務", ""),
    (r"\bjournal\b", "狀態日誌", ""),
    (r"\bquorum\b", "法定多數", "仲裁"),
    (r"\bbinds?\b|\bmount(?:s|ed)?\b", "掛載", "綁定"),
    (r"\boperators?\b", "維運人員", "操作員|操作人員"),
    (r"\bimages?\b", "映像檔", "映像(?!檔)|鏡像"),
]
PUNCTUATION = re.compile(r"\s，|(?<=[\u4e00-\u9fff]),|,(?=[\u4e00-\u9fff])")


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    catalogue = read_catalogue(CATALOGUE, "zh_TW")
    return [(str(message.id), str(message.string)) for message in catalogue if message.id and message.string]


@pytest.mark.parametrize(("english", "word", "wrong"), GLOSSARY, ids=[word for _, word, _ in GLOSSARY])
def test_thing_has_one_word(texts: list[tuple[str, str]], english: str, word: str, wrong: str) -> None:
    assert [text for _, text in texts if wrong and re.search(wrong, text)] == []
    of_it = [text for key, text in texts if re.search(english, key, re.IGNORECASE)]
    named = [text for text in of_it if word in text]
    assert len(named) >= len(of_it) / 2, [text for text in of_it if word not in text]


def test_punctuation_is_full_width(texts: list[tuple[str, str]]) -> None:
    assert [text for _, text in texts if PUNCTUATION.search(text)] == []
