"""The worker's output on your own topics, held against what the Flink reference makes of them."""
