"""Break the product in many small ways, one at a time, and see that a test fails of each: how much the tests catch."""
