"""Put a folder of compose stacks that others made before the product: does it describe, plan and take over each?"""
