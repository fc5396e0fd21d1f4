"""Play canaries of good and bad versions under much and little traffic, with the judge that judges real ones."""
