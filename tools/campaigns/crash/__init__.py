"""Kill the processes that take part in a replacement of the bot, at every step and at random, and check the result."""
