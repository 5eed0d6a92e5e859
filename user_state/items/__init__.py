"""Item vectors as a table: fitted from a log in a small batch job, and kept in a file."""
