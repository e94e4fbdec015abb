"""What leaves the app and comes back: figures as SVG, PDF and PNG, the report as one page, recorded runs as files."""
