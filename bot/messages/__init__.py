"""Say something to people: an English text with its key and fields; imports nothing else of this product."""
