"""Call the Compose CLI: build argument lists, run them, and parse its errors."""
