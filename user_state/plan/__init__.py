"""A spec, compiled: which state definitions a record holds, and which outputs are read from them."""
