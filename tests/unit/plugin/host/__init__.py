"""The files that somebody else's bot is made of; `layouts.py` lays them out as bots really are."""
