"""Read compose files and models: as they are written, and as Compose resolved them; and keep a release's."""
