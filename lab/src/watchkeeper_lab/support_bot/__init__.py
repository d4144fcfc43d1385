"""The support-bot: tells what a bank's customer wants, from a question; served beside the shop, watched as a model.

`questions` and `training` make it, `image` and `part` bring it up beside a lab, `shifts` and `replay` ask it what real
customers asked. `bot/` is what runs in its container.
"""
