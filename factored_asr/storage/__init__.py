"""Files: bounded reads, whole writes, locks, and the cache."""
