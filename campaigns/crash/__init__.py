"""Kill whoever takes part in the bot's replacing itself, at every step and at any moment, and judge what is left."""
