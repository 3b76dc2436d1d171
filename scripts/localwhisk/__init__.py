"""A small Apache OpenWhisk for one machine: REST API, rules, sequences, web actions, activations."""
