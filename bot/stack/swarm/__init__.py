"""Run stacks on a Docker Swarm: a model becomes services, each write is judged by what Swarm made of it."""
