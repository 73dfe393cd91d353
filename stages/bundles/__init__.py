"""One archive with which the platform is installed where there is no internet."""
