"""What every process needs to start: settings, logs, metrics, an orderly end."""
