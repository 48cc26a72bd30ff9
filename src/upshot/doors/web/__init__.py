"""The web: flags for servers and browsers. Routes ask, services answer; no rules of their own."""
