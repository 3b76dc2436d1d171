"""Makes build/<action>.zip: the sources of an action, the package hort and the packages it needs, the same bytes for the same input."""
