"""The dashboards of Grafana as code: one file each, a table of panels; `python -m tools.dashboards` writes deploy/grafana/dashboards."""
