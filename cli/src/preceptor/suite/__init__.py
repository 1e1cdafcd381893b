"""Running the whole suite on one machine: what is started, with which settings, and how it is stopped."""
