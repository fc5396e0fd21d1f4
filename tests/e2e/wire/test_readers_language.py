"""In a channel whose language is Chinese, everything about a deployment that fails on a real engine is Chinese."""

import re

import pytest

from tests.integration.sandbox.channel import ask, live, outcome, start

pytestmark = pytest.mark.wire
# Three words in a row are a sentence that nobody translated; names and commands have fewer, or marks.
ENGLISH = re.compile(r"[A-Za-z']{2,} [a-z']{2,} [a-z']{2,}")


def english_in(text: str) -> list[str]:
    """Return what is English, but for logs and names in a fixed font."""
    return ENGLISH.findall(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL))


async def test_failed_deployment_told_in_chinese(bot, people, shop, image_ids):
    await people.set_guild_locale("zh-TW")
    for person in ("dora", "bob"):
        await people.set_locale(person, "zh-TW")
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))

    plan = await ask(people, "dora", "deploy", environment="dev", version="v3", dry_run=True)
    failed = await start(people, "dora", "deploy", environment="dev", version="v3")
    told = await outcome(people, failed)
    shown = await live(people, failed, "回復")
    refused = await ask(people, "dora", "rollback", environment="dev", to="r1")
    status = await ask(people, "bob", "status", environment="dev")

    assert "失敗：健康檢查失敗。" in told.text
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    assert "dev 已經是 r1。" in refused
    texts = {"plan": plan, "outcome": told.text, "live": shown.text, "refusal": refused, "status": status}
    assert {name: found for name, text in texts.items() if (found := english_in(text))} == {}, texts
