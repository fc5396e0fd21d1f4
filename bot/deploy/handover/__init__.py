"""The bot's own container: found, replaced by a successor, and told from those of other bots."""
