"""Long proofs on a real engine: commands of their own, of which a short sample runs with the tests."""
