"""What can be seen of a worker: metrics, gauges, lag, rates, decisions, the lines of its log."""
