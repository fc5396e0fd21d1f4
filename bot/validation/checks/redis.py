"""Check that Redis answers, where one is set."""

from roas.errors import RoasError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class RedisCheck:
    """Ping Redis. Without it the bot and its journal go on: only as a service of the stack can it fail a deployment."""

    name = "redis"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Check that Redis answers."""
        if subject.ping_redis is None:
            return passed(self, said("REDIS_URL is not set: state is kept in the journal alone."))
        remedy = said(
            "Look at the redis service, or correct REDIS_URL. The bot does without it; a stack that has it as a "
            "critical or required service does not."
        )
        try:
            await subject.ping_redis()
        except RoasError as error:
            return failed(self, error.message, remedy)
        except Exception as error:  # any exception of the client means the same; its text may hold the URL's password
            return failed(self, said("Redis does not answer ({name}).", name=type(error).__name__), remedy)
        return passed(self, said("Redis answers."))
