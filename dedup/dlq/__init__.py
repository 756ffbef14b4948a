"""Dead letters: reading them, selecting some, correcting and re-submitting their events."""
