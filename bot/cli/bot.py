"""`run`: the bot itself."""

import gc

from roas.cli.running import Session, run_command
from roas.service import serve
from roas.signals import ignore_stop_signals

# A deployment leaves some 2,000 objects in circles, which only a look for them frees: until then they are megabytes. A
# look at so many new ones takes half a millisecond; what outlives one is looked at again with every fifth.
OBJECTS_BETWEEN_COLLECTIONS, LOOKS_BETWEEN_OLDER = 5_000, 5


def run() -> None:
    """Run the bot, as `roas` without a command does."""
    run_command(_serve, is_bot=True)


async def _serve(session: Session) -> int:
    # What was imported stays for good: no look for cycles need go through it again.
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, LOOKS_BETWEEN_OLDER)
    code = await serve(session.settings)
    ignore_stop_signals()
    return code
