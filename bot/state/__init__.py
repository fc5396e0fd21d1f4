"""Keep the one record of truth: the journal, its owners, and what is projected from it."""
