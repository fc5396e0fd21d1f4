"""A month of a busy team in minutes: what the bot keeps stays within named bounds."""
