"""The preceptor command line: runs the suite and finds the commands of the services."""
