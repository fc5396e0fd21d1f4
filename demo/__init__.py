"""Show the main job: a sample stack is deployed, fails, is rolled back; then the bot replaces itself."""
