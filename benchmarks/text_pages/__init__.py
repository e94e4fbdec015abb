"""Drawn pages, forms, receipts and signs, with questions and the place of each answer. Same seed, same page."""
