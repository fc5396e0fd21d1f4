"""Show the main job on a sample stack: deploy, deploy, fail and be rolled back, roll back by hand, look."""
