"""Raise alerts and resolve them: from what is seen of the services, and of the bot itself."""
