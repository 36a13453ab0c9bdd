"""The texts that are removed because they are known: secret values, and this machine's folders."""
