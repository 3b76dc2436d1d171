"""The layered images of the plates action: how they are built, tried and weighed."""
