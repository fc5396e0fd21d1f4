"""Share the journal with the bots on other machines, in the Raft log of a Swarm."""
