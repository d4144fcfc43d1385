"""A second stack, of another shape than the shop: a support desk with workers on a job queue."""
