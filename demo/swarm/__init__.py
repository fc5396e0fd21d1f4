"""The demo on a Swarm of three nodes, one of which dies in the middle of a deployment."""
