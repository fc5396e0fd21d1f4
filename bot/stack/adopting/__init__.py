"""Read back from running containers the compose model that would make them again."""
