"""The fault campaign behind `./scripts/chaos`: a known stream, faults from a seeded plan, an oracle."""
