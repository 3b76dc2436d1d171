"""The feeds: actions that clients call to start a stream, and the service behind them."""
