"""Draw figures as pictures that are readable on a phone, in the dark, and without telling red from green."""
