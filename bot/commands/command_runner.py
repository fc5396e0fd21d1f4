"""Run a command between settings and exit code: every error is printed here, once, as text."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from roas.api.documents import to_document
from roas.api.system_user import current_user
from roas.commands.error_output import print_error
from roas.commands.exit_codes import ExitCode, code_of_fault
from roas.commands.log_file import configure_log, is_debugging
from roas.commands.session import Session
from roas.commands.state_owner import become_owner
from roas.commands.terminal import Terminal
from roas.errors import InternalFaultError, RoasError
from roas.log import get_logger
from roas.redaction import Redactor, hide_everywhere
from roas.settings import load_settings

Work = Callable[[Session], Awaitable[int]]


def run_command(work: Work, *, as_json: bool = False, is_bot: bool = False) -> NoReturn:
    """Load the settings, do the work, and exit with its code; the bot itself logs its own way."""
    raise SystemExit(_run(work, Terminal(as_json=as_json), is_bot=is_bot))


def run_before_settings(work: Callable[[Terminal], int], *, as_json: bool = False) -> NoReturn:
    """Run a command that examines the settings themselves, which may be invalid, and exit with its code."""
    terminal = Terminal(as_json=as_json)
    try:
        code = work(terminal)
    except RoasError as error:
        code = _print_and_return(error, terminal)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise SystemExit(code)


def _run(work: Work, terminal: Terminal, *, is_bot: bool) -> int:
    session: Session | None = None
    redactor = Redactor()
    stop_hiding = hide_everywhere(redactor)
    try:
        session = _open_session(terminal, redactor, is_bot=is_bot)
        return asyncio.run(_work(work, session))
    except RoasError as error:
        return _print_and_return(error, terminal)
    except KeyboardInterrupt:
        terminal.say("Interrupted.", on_err=True)
        return ExitCode.INTERRUPTED
    except Exception as error:
        if session is not None and is_debugging(session.settings):
            raise
        return _print_and_return(_to_internal_error(error), terminal)
    finally:
        stop_hiding()


async def _work(work: Work, session: Session) -> int:
    return await work(session)


def _open_session(terminal: Terminal, redactor: Redactor, *, is_bot: bool) -> Session:
    settings = load_settings(needs_discord=is_bot)
    session = Session(settings, terminal, current_user())
    if not is_bot:
        become_owner(settings)
        redactor.add(settings.secrets)
        configure_log(settings, redactor)
    return session


def _print_and_return(error: RoasError, terminal: Terminal) -> int:
    print_error(terminal, to_document(error))
    return code_of_fault(error.key)


def _to_internal_error(error: Exception) -> RoasError:
    get_logger(__name__).error("command broke", exc_info=error)
    return InternalFaultError(
        f"Unexpected internal error ({type(error).__name__}).",
        hint="Try again with LOG_LEVEL=DEBUG to see where, and report it.",
    )
