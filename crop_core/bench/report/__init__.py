"""What the records of a sweep say: statistics, tables, figures and one page. Knows nothing of models."""
