"""What a stack is made of: found, copied once by descriptor, and read from the copy only."""
