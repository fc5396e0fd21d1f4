"""Convert stored state to what people see in Discord: embeds, buttons, messages."""
