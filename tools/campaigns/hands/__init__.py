"""What people type and what hosts do, at every moment of every kind of deployment, judged from outside only."""
