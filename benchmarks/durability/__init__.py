"""Proofs that accepted events are neither lost nor doubled, by killing, damaging and filling what holds them."""
