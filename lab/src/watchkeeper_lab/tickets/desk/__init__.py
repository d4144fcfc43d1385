"""A support desk: tickets, replies, and mails that workers send."""
