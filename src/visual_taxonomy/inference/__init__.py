"""A trained model and its answers: prediction, bundles, the engines that run them."""
