"""The demo: everything of HoRT on one machine, started in order, watched, drained and stopped."""
