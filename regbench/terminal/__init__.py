"""What people read in a terminal: tables, progress, plans."""
