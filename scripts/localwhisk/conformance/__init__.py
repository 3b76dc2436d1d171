"""Replays recorded exchanges against an engine and shows where the answers differ."""
