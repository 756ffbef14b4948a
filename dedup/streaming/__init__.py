"""The Faust side: application, batch transport, processor, publisher and recovery."""
