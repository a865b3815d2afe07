"""The command `fedn`: a dispatcher that imports nothing heavy, and one file for each command."""
