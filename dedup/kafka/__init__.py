"""What every client of Kafka here needs: for worker, commands, sink and producer alike."""
