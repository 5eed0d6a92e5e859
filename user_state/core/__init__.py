"""The pure core: a compiled spec, events, records, and the functions between them. No I/O, no clock."""
