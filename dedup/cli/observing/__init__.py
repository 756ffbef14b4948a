"""What the commands do that only look: verdicts again by the core, and what the topics hold."""
