"""Hide the engines that run a stack behind one small interface."""
