"""OpenWhisk's alarm feeds: semantics, feed actions and a scheduler; the standard library and cronsim only."""
