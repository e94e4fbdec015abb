"""Export and import: figures as SVG, PDF and PNG, the report as one HTML file, recorded runs."""
