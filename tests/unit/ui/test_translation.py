"""People read their own language; the journal stays English, and what it is made of is rendered when it is shown."""

import asyncio

from roas.errors import RoasError
from roas.messages.message import Message, said
from roas.models.deployment import ServiceStep
from roas.models.phases import PhaseName
from roas.state.deployments.locks import LockHeldError
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_error, draw_outcome
from roas.ui.translation import _, command_text, command_word, translate, using_locale, word
from tests.unit.ui.samples import a_deployment, a_lock, failed_deployment


def test_unknown_language_falls_back_to_english() -> None:
    with using_locale("de"):
        assert _("Deploy {version} to {environment}", version="v1", environment="dev") == "Deploy v1 to dev"


def test_language_applies_only_within_scope() -> None:
    with using_locale("zh-TW"):
        assert _("Deploy {version} to {environment}", version="v1", environment="dev") == "將 v1 部署到 dev"
    assert _("Services") == "Services"


async def test_concurrent_readers_get_own_language() -> None:
    async def answer(locale: str, meanwhile: asyncio.Event, then: asyncio.Event) -> str:
        with using_locale(locale):
            then.set()
            await meanwhile.wait()
            return _("Services")

    one, two = asyncio.Event(), asyncio.Event()

    assert await asyncio.gather(answer("zh-TW", one, two), answer("en-US", two, one)) == ["服務", "Services"]


def test_states_have_own_translations() -> None:
    with using_locale("zh-TW"):
        assert word(PhaseName.VERIFICATION) == "驗證"
        assert word(ServiceStep.HEALTHY) == "健康"
    assert word(PhaseName.VERIFICATION) == "verification"


def test_core_says_it_in_the_readers_language() -> None:
    with using_locale("zh-TW"):
        assert translate(said("There is no deployment {deployment_id}.", deployment_id="DEPLOY-1")) == (
            "沒有 DEPLOY-1 這次部署。"
        )


def test_text_without_key_shown_as_it_is() -> None:
    """Such as one of the release before, or one of Docker's."""
    with using_locale("zh-TW"):
        assert translate("There is no deployment DEPLOY-1.") == "There is no deployment DEPLOY-1."
        assert translate("panic: runtime error {oops}") == "panic: runtime error {oops}"


def test_key_of_another_release_shown_in_english() -> None:
    with using_locale("zh-TW"):
        assert translate(Message("{what} is new.", {"what": "It"})) == "It is new."


def test_typed_error_shown_in_readers_language() -> None:
    lock = a_lock(a_deployment())
    with using_locale("zh-TW"):
        embed = draw_error(LockHeldError(lock))[0]

    assert embed.title == "⚠️ 沒有成功"
    assert "由 dora 佔用" in (embed.description or "")
    assert embed.fields[0].name == "該怎麼做"
    assert embed.fields[0].value == f"請等 {lock.deployment_id} 結束，或將它取消。"


def test_untranslated_error_shown_unchanged() -> None:
    with using_locale("zh-TW"):
        assert draw_error(RoasError("Nobody knows this."))[0].description == "Nobody knows this."


def test_live_message_and_outcome_translated() -> None:
    def posts() -> tuple[str, str]:
        return draw_live(a_deployment()).content_hash, draw_outcome(failed_deployment()).content_hash

    english = posts()
    with using_locale("zh-TW"):
        assert all(one != other for one, other in zip(english, posts(), strict=True))


def test_chinese_command_names_only_on_request() -> None:
    assert command_word("deploy", "zh-TW") == "部署"
    assert command_word("deploy", "de") is None
    assert command_text("Deploy a version to an environment", "zh-TW") == "將某個版本部署到環境"
