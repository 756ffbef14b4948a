"""The demo: broker, events and worker on this machine, and an oracle that checks the result."""
