"""What Preceptor services say to each other, and the nine tasks as data."""
