"""What every Kafka client here needs: worker, commands, sink and producer alike."""
