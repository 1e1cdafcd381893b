"""Plain-language sentences for chart items: what the adapter is taught to write, and the guesses it verifies."""
