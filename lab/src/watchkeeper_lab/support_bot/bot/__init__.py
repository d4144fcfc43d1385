"""What runs in the support-bot's container."""
