"""Judge how services and stacks are, and keep the verdicts."""
