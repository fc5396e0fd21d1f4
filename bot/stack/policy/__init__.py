"""Judge what a stack may have."""
