"""A Discord-compatible server on loopback: try the bot, and test it, without a token.

`sandbox.server.Sandbox` runs it inside a process, `python -m sandbox` as one of its own, and
`sandbox.client.SandboxClient` plays the people who use the bot.
"""
