"""A small e-commerce API to practise on: catalogue, cart, checkout, orders, over Redis and PostgreSQL."""
