"""Check that the engine answers and is new enough."""

from packaging.version import Version

from roas.errors import EngineUnavailableError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.facts import EngineFacts
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

# 1.41 (Engine 20.10) is the first that reads statistics in one shot; without it a reading takes a second or two.
MINIMUM_API = Version("1.41")
# 1.44 (Engine 25) is the first that knows start_interval; Compose refuses the key on an older one.
START_INTERVAL_API = Version("1.44")


class EngineCheck:
    """Reach the engine and compare its API version with what is needed."""

    name = "engine"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Compare the engine's API version with the least that is needed."""
        try:
            facts = await subject.engine.version()
        except EngineUnavailableError as error:
            return failed(self, error.message, error.hint)
        api = Version(facts.api_version)
        if api < MINIMUM_API:
            return self._too_old(facts, MINIMUM_API, said("read statistics at once"))
        users = sorted(_use_start_interval(subject))
        if users and api < START_INTERVAL_API:
            return self._too_old(
                facts, START_INTERVAL_API, said("know the start_interval of {services}", services=listed(users))
            )
        return passed(
            self,
            said(
                "Docker Engine {version} answers (API {api_version}).",
                version=facts.version,
                api_version=facts.api_version,
            ),
        )

    def _too_old(self, facts: EngineFacts, needed: Version, purpose: str) -> CheckResult:
        message = said(
            "Docker Engine {version} has API {api_version}; {needed} is needed to {purpose}.",
            version=facts.version,
            api_version=facts.api_version,
            needed=str(needed),
            purpose=purpose,
        )
        return failed(self, message, said("Install a newer Docker Engine (25 or later)."))


def _use_start_interval(subject: Subject) -> list[str]:
    return [
        name for name, service in subject.services.items() if (service.get("healthcheck") or {}).get("start_interval")
    ]
