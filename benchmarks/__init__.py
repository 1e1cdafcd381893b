"""What is measured: each module is one benchmark, writes one table, and says on which machine."""
