"""Report of a sweep's records: statistics, tables, figures and an HTML page. Knows nothing of models.

`summary.summarise(records, metric, majority)` validates the records and computes once; tables, sentences, figures and
`html.report(summary, records, facts)` read its result.
"""
