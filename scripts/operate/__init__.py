"""Tools for operators: where a record went (`scripts/trace`), and what to do about dead letters (`scripts/dead-letters`)."""
