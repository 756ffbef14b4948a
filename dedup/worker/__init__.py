"""The worker as a whole: all rooms put together, and the app that `faust -A dedup` runs."""
