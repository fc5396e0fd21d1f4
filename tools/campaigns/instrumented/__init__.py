"""A bot that says what it is about to do, and waits until it may: baked into images that only campaigns use."""
