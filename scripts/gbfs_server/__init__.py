"""A GBFS source over HTTP: a simulated city of bike stations, or a recording played back at any speed."""
