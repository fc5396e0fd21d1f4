"""Keep the catalogues in step with the source; needed by developers only."""
