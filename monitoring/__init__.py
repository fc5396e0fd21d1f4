"""What Prometheus, Alertmanager and Grafana of the shipped stack read, and the code that writes the dashboard."""
