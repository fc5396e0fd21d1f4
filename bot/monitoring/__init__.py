"""Watch what runs: verdicts on services, metrics, and the pages that say how the bot itself is."""
