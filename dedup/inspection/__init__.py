"""What is known of products, rows and decisions, from the topics, judged again by the core."""
