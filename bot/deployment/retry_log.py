"""Log what is tried again where everything else is logged, and without secrets.

The library that retries tells of it by itself, on stdout: there a command writes its JSON, and nothing hides a secret.
What others in this process retry by the same library is told as before.
"""

from contextlib import AbstractContextManager

from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks
from stamina.typing import RetryHook

from roas.errors import RoasError
from roas.log import get_logger

log = get_logger(__name__)


def log_retries() -> None:
    """Tell of what is tried again by our log from now on."""
    hooks = get_on_retry_hooks()
    if _log_ours not in hooks:
        set_on_retry_hooks((*map(_of_others, hooks), _log_ours))


def _log_ours(details: RetryDetails) -> None:
    error = details.caused_by
    if isinstance(error, RoasError):
        log.warning("a phase is tried again", key=error.key, error=error.message, attempt=details.retry_num + 1)


def _of_others(hook: RetryHook) -> RetryHook:
    def tell(details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, RoasError) else hook(details)

    return tell
