"""Datasets: questions about images with the right answers, and the metric that scores them."""
