"""Deploys manifest.yaml with the real wskdeploy, on the local engine or on any OpenWhisk."""
