"""The stages: land, load, gate, build, publish. One module each, plain input to frozen record."""
