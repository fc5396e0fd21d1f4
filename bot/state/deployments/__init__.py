"""Keep what was deployed: plans, drafts, deployments, locks, releases, backups, and the figures of delivery."""
