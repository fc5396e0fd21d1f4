"""`python -m bot` runs the bot; `python -m bot deploy|status|…` does without Discord."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    from bot.commands import run_command_line

    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
