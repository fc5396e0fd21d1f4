"""Answer in Discord: the cogs, and `extension.py`, by which any discord.py bot loads them.

Nothing is imported here: a bot of its own does without some of what a guest loads at once.
"""

if __name__ != "roas.cogs":  # a second copy of every class
    raise ImportError("This package is `roas.cogs`; the extension is `roas`.", name=__name__)
