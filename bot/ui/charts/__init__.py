"""Draw figures as pictures that are readable on a phone, in dark mode, and by people who cannot see red and green."""
