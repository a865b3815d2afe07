"""Looks at the machine, the installation and the data, and says in sentences what is wrong and what to do."""
