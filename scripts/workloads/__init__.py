"""The benchmark's workloads; nothing here is run by the tests."""
