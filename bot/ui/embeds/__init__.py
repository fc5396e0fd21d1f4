"""Draw embeds: pure functions of stored state, each within Discord's limits."""
