"""Deploy, alert, kill and ask for a long time, and see whether anything grows, lags or fails."""
