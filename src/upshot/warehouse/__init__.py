"""Where data lie: files, frames, and whatever Ibis connects to. Only this package opens sources."""
