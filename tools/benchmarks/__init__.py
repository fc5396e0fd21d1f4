"""Measure the product beside what people would use instead, in the same run on the same machine."""
