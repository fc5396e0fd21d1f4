"""Kill the bot, nodes and managers while a stack on a Swarm is deployed; judged by Docker's API on every node."""
