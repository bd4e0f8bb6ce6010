"""One engine under all facades: clusters, jobs, calls and maps."""
