"""HoRT's core: everything the actions, the feeds and the provider share."""
