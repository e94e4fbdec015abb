"""What the records of a sweep say: statistics, tables, figures and one page. Knows nothing of models.

`summary.summarise(records, metric, majority)` checks the records and counts once; tables, sentences, figures and
`html.report(summary, records, facts)` are made of its result.
"""
