"""What else speaks of a product beside its image: its words, and the labels it has already."""
