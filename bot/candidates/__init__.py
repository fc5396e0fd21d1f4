"""Take versions from outside: who may offer them, where they come from, and what becomes of them."""
