"""Compare what a plan says with what the deployment then does, over random stacks and random hands."""
