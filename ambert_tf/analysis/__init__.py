"""Model analysis: attention maps, distances between the grains, token statistics, cases in which heads disagree."""
