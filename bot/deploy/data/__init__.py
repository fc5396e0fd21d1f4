"""Back up the data of services before a deployment, and restore it on the way back."""
