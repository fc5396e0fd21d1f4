"""The demo on three managers of a Swarm: the node of the bot that leads dies in the middle of a deployment."""
