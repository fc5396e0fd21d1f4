"""Read containers, and make, start, watch and end them."""
