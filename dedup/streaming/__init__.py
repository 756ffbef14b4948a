"""The Faust side: transport, table, publisher and the one agent."""
