"""The demo: the whole loop on one machine, simulated or recorded traffic, and a report of the savings."""
