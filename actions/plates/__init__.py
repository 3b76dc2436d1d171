"""The plates action: a server of the OpenWhisk container protocol that reads licence plates with OpenALPR."""
