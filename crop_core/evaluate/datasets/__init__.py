"""Datasets: questions about images with the answers that count as right, and how an answer is judged."""
