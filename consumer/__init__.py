"""hubspot-list-sync: keeps HubSpot Contact lists equal to audiences and journeys."""

from importlib.metadata import version

__version__ = version("hubspot-list-sync")
