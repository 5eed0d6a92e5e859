"""100,000 real interactions, from a delimited file to features read from Redis."""
