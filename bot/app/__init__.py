"""Wire every part once, connect them, and hand them over."""
