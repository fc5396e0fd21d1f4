"""Turn stored state into what people see in Discord: embeds, buttons, messages."""
