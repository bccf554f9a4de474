"""The live page of runs that go on: what it shows, and the local server that sends it."""
