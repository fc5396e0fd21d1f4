"""Answer over HTTP how the bot is, and take alerts."""
