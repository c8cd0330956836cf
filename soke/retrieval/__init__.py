"""The sign dictionary and the search for signs in a text."""
