"""Output for people at a terminal: tables, progress, plans."""
