"""The service behind the feed `hort/mqtt`: takes messages from brokers, journals them in Redis and fires triggers."""
