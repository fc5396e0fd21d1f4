"""Lose nodes of a Swarm on which the bot is a service, leader and standby; judged by Docker and by the channel."""
