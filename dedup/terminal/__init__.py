"""What the commands share: running them, standard output and errors, text for people."""
