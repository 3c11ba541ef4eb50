"""Model analysis: attention maps, distances between the grains, token statistics, case studies, and a web page."""
