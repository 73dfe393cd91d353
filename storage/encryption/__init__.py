"""Files and values that only this installation's keys can read: the container, the keys and who keeps them."""
