"""The three services behind the suite, on loopback: mosquitto, Redis and Elasticsearch. Standard library only, so that it runs anywhere."""
