"""The network and its losses; knows no Lightning."""
