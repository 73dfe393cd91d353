"""The admin API: one module a resource. Every call carries an access token or a key."""
