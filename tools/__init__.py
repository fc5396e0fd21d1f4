"""What is beside the product: long campaigns, benchmarks, releases, the reference pages and the translations."""
