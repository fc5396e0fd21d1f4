"""Hold the SQLite journal: open it, notice that it was replaced, copy it and bring a copy back."""
