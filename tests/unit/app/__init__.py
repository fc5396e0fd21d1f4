"""How the application is put together."""
